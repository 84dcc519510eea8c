//! What is answered to each HTTP request, and which of them become WebSockets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::response::Builder;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tungstenite::handshake::server::create_response_with_body;

use crate::admission::{Admission, Permit, Refusal};
use crate::config::Config;
use crate::forwarded::{X_FORWARDED_FOR, client_address, contains};
use crate::metrics::{self, Metrics};
use crate::origin::{HostPort, Origin, SUBPROTOCOL};
use crate::websocket::{Arrival, Sockets};

/// What answering needs.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) config: Config,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) sockets: Arc<Sockets>,
    /// Programs may connect without naming the protocol.
    pub(crate) any_program: bool,
}

/// One TCP connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Whoever is at the other end of the socket, perhaps a proxy.
    pub(crate) address: SocketAddr,
    /// Every request of it is refused.
    pub(crate) refusal: Option<Refusal>,
    /// Counts the connection for as long as anything of it is left.
    pub(crate) permit: Arc<Permit>,
}

type Answer = Response<Full<Bytes>>;

/// A refusal: its status and what to tell people.
type No = (StatusCode, &'static str);

const FULL: No = (
    StatusCode::SERVICE_UNAVAILABLE,
    "the server has as many connections as it may; try again later",
);
const TOO_MANY: No = (
    StatusCode::TOO_MANY_REQUESTS,
    "too many connections from this address",
);

impl Site {
    /// Answers one request. Bodies are never read: nothing here takes one.
    pub(crate) fn answer(
        self: &Arc<Self>,
        peer: &Peer,
        request: Request<Incoming>,
    ) -> Result<Answer, Infallible> {
        let answer = self
            .route(peer, request)
            .unwrap_or_else(|(status, text)| plain(status, text));
        self.metrics.answered(answer.status().as_u16());
        Ok(answer)
    }

    fn route(self: &Arc<Self>, peer: &Peer, request: Request<Incoming>) -> Result<Answer, No> {
        if let Some(refusal) = peer.refusal {
            return Err(told(refusal));
        }
        let host = self.host(peer, &request)?;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let builder = Response::builder()
                .status(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, "GET, HEAD");
            return Ok(finish(builder, "only GET and HEAD are known here\n"));
        }
        match request.uri().path() {
            "/ws" => self.upgrade(peer, &host, request),
            "/healthz" => Ok(plain(StatusCode::OK, "ok")),
            "/metrics" => self.metrics(peer, request.headers()),
            path => self
                .asset(path, &host, request.headers())
                .ok_or((StatusCode::NOT_FOUND, "there is nothing here")),
        }
    }

    /// The host the client means, which must be one that is ours.
    ///
    /// A page can point its own name at 127.0.0.1 and so reach servers that only listen there, as its own origin (DNS rebinding).
    /// On a loopback socket, therefore, names are only accepted when they were configured or mean this machine by definition.
    fn host(&self, peer: &Peer, request: &Request<Incoming>) -> Result<HostPort, No> {
        let value = request
            .headers()
            .get(header::HOST)
            .and_then(|value| value.to_str().ok());
        let host = value.and_then(HostPort::parse).ok_or((
            StatusCode::BAD_REQUEST,
            "the Host header is missing or not a host",
        ))?;
        let configured = self
            .config
            .public_host
            .as_ref()
            .is_some_and(|name| name.as_str() == host.host)
            || self
                .config
                .origins
                .iter()
                .any(|origin| origin.is_same_host(&host));
        // Whoever talks to a loopback address has one.
        let on_loopback = peer.address.ip().to_canonical().is_loopback();
        if !on_loopback || configured || host.cannot_be_rebound() {
            Ok(host)
        } else {
            Err((
                StatusCode::MISDIRECTED_REQUEST,
                "this server does not go by that name; start it with --public-host NAME",
            ))
        }
    }

    fn upgrade(
        self: &Arc<Self>,
        peer: &Peer,
        host: &HostPort,
        mut request: Request<Incoming>,
    ) -> Result<Answer, No> {
        let headers = request.headers();
        if !headers.contains_key(header::UPGRADE) {
            let builder = Response::builder()
                .status(StatusCode::UPGRADE_REQUIRED)
                .header(header::UPGRADE, "websocket");
            return Ok(finish(builder, "this is a WebSocket\n"));
        }
        let speaks = offers_subprotocol(headers);
        self.check_origin(host, headers, speaks)?;
        let mut answer = create_response_with_body(&request, Full::default).map_err(|_| {
            (
                StatusCode::BAD_REQUEST,
                "not a WebSocket handshake of version 13 (RFC 6455 section 4.2.1)",
            )
        })?;
        if speaks {
            answer.headers_mut().insert(
                header::SEC_WEBSOCKET_PROTOCOL,
                HeaderValue::from_static(SUBPROTOCOL),
            );
        }
        let (address, named) = client_address(&self.config.trusted_proxies, peer.address, headers);
        let forwarded = if named {
            Some(
                self.admission
                    .name_source(address.ip().into())
                    .map_err(told)?,
            )
        } else {
            None
        };
        let permits = (Arc::clone(&peer.permit), forwarded);
        let arrival = Arrival {
            address,
            host: host.host.clone(),
        };
        let upgrade = hyper::upgrade::on(&mut request);
        let site = Arc::clone(self);
        tokio::spawn(async move {
            // Fails when the client goes away before the answer is written.
            let Ok(upgraded) = upgrade.await else { return };
            let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else {
                return;
            };
            let connection =
                site.sockets
                    .connection(parts.io.into_inner(), &arrival, &parts.read_buf, permits);
            // A task of its own: this one's memory is as large as all it ever held.
            tokio::spawn(connection);
        });
        Ok(answer)
    }

    /// RFC 6455 §10.2; see `origin.rs` for who may connect.
    fn check_origin(&self, host: &HostPort, headers: &HeaderMap, speaks: bool) -> Result<(), No> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            let no = (
                StatusCode::FORBIDDEN,
                "without an Origin the subprotocol crowfly.1 must be asked for",
            );
            return if speaks || self.any_program {
                Ok(())
            } else {
                Err(no)
            };
        };
        let origin = origin
            .to_str()
            .ok()
            .and_then(|text| text.parse::<Origin>().ok());
        if origin.is_some_and(|origin| {
            origin.is_same_host(host) || self.config.origins.contains(&origin)
        }) {
            Ok(())
        } else {
            Err((
                StatusCode::FORBIDDEN,
                "pages of this origin may not connect here; start the server with --origin to let them",
            ))
        }
    }

    fn metrics(&self, peer: &Peer, headers: &HeaderMap) -> Result<Answer, No> {
        let proxied =
            headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(header::FORWARDED);
        if proxied || !contains(&self.config.metrics_from, peer.address.ip()) {
            return Err((StatusCode::NOT_FOUND, "there is nothing here"));
        }
        let builder = Response::builder().header(header::CONTENT_TYPE, metrics::CONTENT_TYPE);
        Ok(finish(builder, self.metrics.text()))
    }

    fn asset(&self, path: &str, host: &HostPort, headers: &HeaderMap) -> Option<Answer> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
                .unwrap_or("")
        };
        let file = self
            .config
            .assets
            .find(path, text(header::ACCEPT_ENCODING))?;
        let mut builder = Response::builder()
            .header(header::ETAG, &file.etag)
            // Kept by the browser, but asked for every time: a new server must never meet an old page.
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::VARY, "accept-encoding");
        if path.starts_with("/client/") {
            // The client library may be imported by any page; whether that page may then connect, its origin decides.
            builder = builder.header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        }
        // Also on a 304, whose headers replace the stored ones (RFC 9111 §3.2): a reload must not meet another type or policy.
        builder = builder.header(header::CONTENT_TYPE, file.content_type);
        if let Some(encoding) = file.encoding {
            builder = builder.header(header::CONTENT_ENCODING, encoding);
        }
        if file.content_type.starts_with("text/html") {
            builder = builder.header(
                header::CONTENT_SECURITY_POLICY,
                content_security_policy(host),
            );
        }
        if text(header::IF_NONE_MATCH)
            .split(',')
            .any(|tag| tag.trim().trim_start_matches("W/") == file.etag)
        {
            return Some(finish(builder.status(StatusCode::NOT_MODIFIED), ""));
        }
        Some(finish(builder, file.body))
    }
}

/// What a connection holds: its own place, and one under the source a proxy named.
pub(crate) type Permits = (Arc<Permit>, Option<Permit>);

fn told(refusal: Refusal) -> No {
    match refusal {
        Refusal::Full => FULL,
        Refusal::Source => TOO_MANY,
    }
}

fn plain(status: StatusCode, text: &str) -> Answer {
    finish(Response::builder().status(status), format!("{text}\n"))
}

/// Adds the headers that every answer has, and those of documents. Without a type of its own an answer is plain text.
///
/// Scripts and styles are loaded by the dozen and never shown by themselves: for them the documents' headers would be a fifth of
/// what crosses the wire, to no effect.
fn finish(builder: Builder, body: impl Into<Bytes>) -> Answer {
    let mut answer = builder
        .body(Full::new(body.into()))
        .expect("header values are our own or were parsed");
    let headers = answer.headers_mut();
    let mut add = |name, value| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::CONTENT_TYPE, "text/plain; charset=utf-8");
    let part = ["text/javascript", "text/css"].iter().any(|part| {
        answer.headers()[header::CONTENT_TYPE]
            .as_bytes()
            .starts_with(part.as_bytes())
    });
    if !part {
        for (name, value) in DOCUMENT_HEADERS {
            answer
                .headers_mut()
                .entry(name)
                .or_insert(HeaderValue::from_static(value));
        }
    }
    answer
}

/// What a browser heeds when it shows an answer by itself.
const DOCUMENT_HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        PERMISSIONS_POLICY,
    ),
];

/// A page that only talks needs none of these.
const PERMISSIONS_POLICY: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), \
                                  microphone=(), midi=(), payment=(), serial=(), usb=()";

/// CSP3. The WebSocket is named besides `'self'`, which not every browser takes to cover `ws:`.
fn content_security_policy(host: &HostPort) -> String {
    let HostPort { host, port } = host;
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
         connect-src 'self' ws://{host}{port} wss://{host}{port}; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

fn offers_subprotocol(headers: &HeaderMap) -> bool {
    let offered = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    offered
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim() == SUBPROTOCOL)
}
