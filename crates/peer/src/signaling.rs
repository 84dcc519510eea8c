//! The WebSocket to the signaling server: text in, text out. What is said, and when to come back, is the room's.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::{
    CloseFrame, WebSocketConfig, frame::coding::CloseCode,
};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::room_core::RoomError;

/// Messages of ours that wait.
const OUTGOING: usize = 256;
/// Messages of the server that wait.
const INCOMING: usize = 32;
/// A server's limit is 64 KiB unless it was told otherwise.
const MAX_MESSAGE: usize = 1 << 20;
/// For the last words to leave.
const CLOSING: Duration = Duration::from_secs(1);
/// The server pings every 25 s: one that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// A program proves by it that it means this server, `docs/protocol.md`, "Transport".
const SUBPROTOCOL: &str = "crowfly.1";

/// What comes from the server.
#[derive(Debug)]
pub(crate) enum Incoming {
    Text(String),
    /// The end, with the server's reason for it.
    Ended {
        error: RoomError,
        reason: String,
    },
}

/// One WebSocket, from the attempt to open it to its end. Dropping it gives it up; [`Connection::close`] lets it say goodbye.
#[derive(Debug)]
pub(crate) struct Connection {
    outgoing: mpsc::Sender<String>,
    incoming: mpsc::Receiver<Incoming>,
    /// One; a set ends it when dropped.
    task: JoinSet<()>,
}

impl Connection {
    /// Begins to open one.
    pub(crate) fn open(url: String) -> Self {
        let (outgoing, to_send) = mpsc::channel(OUTGOING);
        let (received, incoming) = mpsc::channel(INCOMING);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let (error, reason) = run(&url, to_send, &received).await;
            // Nobody listens where the room is closed already.
            let _ = received.send(Incoming::Ended { error, reason }).await;
        });
        Self {
            outgoing,
            incoming,
            task,
        }
    }

    /// Queues a message; `false` when the server takes none any more.
    pub(crate) fn send(&self, text: String) -> bool {
        self.outgoing.try_send(text).is_ok()
    }

    /// The next that comes; cancel-safe.
    pub(crate) async fn receive(&mut self) -> Option<Incoming> {
        self.incoming.recv().await
    }

    /// Sends what is queued, says that it ends, and waits for that, but not for long.
    pub(crate) async fn close(self) {
        let Self {
            outgoing,
            incoming,
            mut task,
        } = self;
        drop((outgoing, incoming));
        // One that is still being opened, or takes nothing, is given up.
        let _ = tokio::time::timeout(CLOSING, task.join_next()).await;
    }
}

/// Until the end; why, and the server's word for it.
async fn run(
    url: &str,
    mut to_send: mpsc::Receiver<String>,
    received: &mpsc::Sender<Incoming>,
) -> (RoomError, String) {
    let mut socket = match connect(url).await {
        Ok(socket) => socket,
        Err(error) => {
            return (
                RoomError::Unreachable {
                    url: url.to_owned(),
                    reason: words(&error),
                },
                String::new(),
            );
        }
    };
    let lost = |reason: &str| RoomError::Unreachable {
        url: url.to_owned(),
        reason: reason.to_owned(),
    };
    loop {
        tokio::select! {
            text = to_send.recv() => {
                let Some(text) = text else {
                    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
                    let _ = socket.close(Some(frame)).await;
                    return (RoomError::Left, String::new());
                };
                if let Err(error) = socket.send(Message::text(text)).await {
                    return (lost(&error.to_string()), String::new());
                }
            }
            message = tokio::time::timeout(SILENCE, socket.next()) => match message {
                Ok(Some(Ok(Message::Text(text)))) => {
                    if received.send(Incoming::Text(text.as_str().to_owned())).await.is_err() {
                        let _ = socket.close(None).await;
                        return (RoomError::Left, String::new());
                    }
                }
                Ok(Some(Ok(Message::Close(frame)))) => {
                    let reason = frame.map(|frame| frame.reason.as_str().to_owned()).unwrap_or_default();
                    return (lost("the server closed the connection"), reason);
                }
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => return (lost(&error.to_string()), String::new()),
                Ok(None) => return (lost("the connection ended"), String::new()),
                Err(_) => return (RoomError::Silent, String::new()),
            }
        }
    }
}

/// What kept the WebSocket from opening, for people.
fn words(error: &tungstenite::Error) -> String {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    const CLOSED: &str = "it closed the connection at once";
    match error {
        tungstenite::Error::Io(io)
            if matches!(
                io.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
            ) =>
        {
            CLOSED.to_owned()
        }
        tungstenite::Error::Io(io) => {
            let tls = io
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>());
            match tls {
                Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS".to_owned(),
                Some(error) => error.to_string(),
                None => io.to_string(),
            }
        }
        tungstenite::Error::Http(response) => {
            format!("a web server without rooms answered, {}", response.status())
        }
        tungstenite::Error::Protocol(ProtocolError::HandshakeIncomplete) => CLOSED.to_owned(),
        tungstenite::Error::Protocol(_) | tungstenite::Error::HttpFormat(_) => {
            "what answered is no web server".to_owned()
        }
        error => error.to_string(),
    }
}

async fn connect(
    url: &str,
) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, tungstenite::Error> {
    let mut request = url.into_client_request()?;
    request.headers_mut().insert(
        "Sec-WebSocket-Protocol",
        HeaderValue::from_static(SUBPROTOCOL),
    );
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let (socket, _) = connect_async_with_config(request, Some(config), true).await?;
    Ok(socket)
}
