//! Links, codes and addresses: what people hand to each other, and where a server is reached.

use std::fmt;
use std::str::FromStr;

use crowfly_protocol::RoomName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio_tungstenite::tungstenite::http::Uri;

/// What encodeURIComponent leaves as it is.
const FRAGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The base URL of a signaling server, ending in `/`.
///
/// ```
/// use crowfly_peer::ServerUrl;
///
/// let server: ServerUrl = "https://crows.example/app".parse().unwrap();
/// assert_eq!(server.to_string(), "https://crows.example/");
/// assert!("ftp://crows.example".parse::<ServerUrl>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    base: String,
}

/// Why an address or a link was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Not `http://…` or `https://…`.
    #[error("not a web address: {text}")]
    NotAnAddress {
        /// What was given.
        text: String,
    },
    /// No room name in it.
    #[error("no room name in this link or code")]
    NoRoom,
}

/// The room name inside a link or code, and the server if it is a link.
///
/// # Errors
///
/// [`LinkError`] when there is no room name in it, or what stands before it is no web address.
pub fn parse_room(link_or_code: &str) -> Result<(RoomName, Option<ServerUrl>), LinkError> {
    let text = link_or_code.trim();
    let (server, name) = match text.split_once('#') {
        Some(("", name)) => (None, name),
        Some((page, name)) => (Some(page.parse()?), name),
        None => (None, text),
    };
    let decoded = percent_decode_str(name)
        .decode_utf8()
        .map_err(|_| LinkError::NoRoom)?;
    let name = RoomName::parse(&decoded).map_err(|_| LinkError::NoRoom)?;
    Ok((name, server))
}

impl ServerUrl {
    /// What another page opens. The fragment never reaches a server.
    pub fn room_link(&self, name: &RoomName) -> String {
        format!(
            "{}#{}",
            self.base,
            utf8_percent_encode(name.as_str(), FRAGMENT)
        )
    }

    /// Where the WebSocket is.
    pub(crate) fn socket(&self) -> String {
        let rest = self.base.strip_prefix("http").unwrap_or(&self.base);
        format!("ws{rest}ws")
    }
}

impl FromStr for ServerUrl {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let refused = || LinkError::NotAnAddress {
            text: text.to_owned(),
        };
        let uri: Uri = text.trim().parse().map_err(|_| refused())?;
        let scheme = uri
            .scheme_str()
            .filter(|scheme| matches!(*scheme, "http" | "https"))
            .ok_or_else(refused)?;
        let authority = uri.authority().ok_or_else(refused)?;
        if authority.as_str().contains('@') {
            return Err(refused());
        }
        let path = uri.path();
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        Ok(Self {
            base: format!("{scheme}://{authority}{folder}"),
        })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_links_and_codes() {
        let parsed = |text: &str| {
            parse_room(text).map(|(name, server)| {
                (
                    name.as_str().to_owned(),
                    server.map(|server| server.to_string()),
                )
            })
        };
        assert_eq!(
            parsed("k7fq-9xqm-2p4t"),
            Ok(("k7fq-9xqm-2p4t".into(), None))
        );
        let server = Some("https://crows.example/app/".into());
        assert_eq!(
            parsed(" https://crows.example/app/index.html#K%C3%BCche-7 "),
            Ok(("küche-7".into(), server))
        );
        assert_eq!(parsed("#nest"), Ok(("nest".into(), None)));
        assert_eq!(parsed("https://crows.example/"), Err(LinkError::NoRoom));
        let text = "ftp://crows.example/".to_owned();
        assert_eq!(
            parsed("ftp://crows.example/#nest"),
            Err(LinkError::NotAnAddress { text })
        );
        assert_eq!(parsed(""), Err(LinkError::NoRoom));
    }

    #[test]
    fn writes_links_and_socket_addresses() {
        let server: ServerUrl = "http://localhost:8080".parse().expect("an address");
        let name = RoomName::parse("Küche 7").expect("a name");
        assert_eq!(
            server.room_link(&name),
            "http://localhost:8080/#k%C3%BCche-7"
        );
        assert_eq!(server.socket(), "ws://localhost:8080/ws");
        let server: ServerUrl = "https://crows.example/a/b".parse().expect("an address");
        assert_eq!(server.socket(), "wss://crows.example/a/ws");
    }

    #[test]
    fn an_address_is_one_of_the_web_and_holds_no_name_and_password() {
        let address = |text: &str| {
            let parsed: Result<ServerUrl, _> = text.parse();
            parsed.map(|server| server.to_string()).ok()
        };
        assert_eq!(
            address("HTTPS://Crows.example:8443/a/?q=1").as_deref(),
            Some("https://Crows.example:8443/a/")
        );
        assert_eq!(
            address("http://[::1]:80").as_deref(),
            Some("http://[::1]:80/")
        );
        for text in [
            "",
            "crows.example",
            "https://",
            "https:///a",
            "ws://crows.example",
            "https://a:b@crows.example",
            "https://crows.example\n.evil",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn anything_at_all_is_a_room_or_an_error() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let text = "https://crows.example/app/#k%C3%BCche-7";
            let text = crate::mutate::text(&mut random, text);
            let Ok((name, server)) = parse_room(&text) else {
                continue;
            };
            if let Some(server) = server {
                let link = server.room_link(&name);
                assert_eq!(parse_room(&link), Ok((name, Some(server))), "{text}");
            }
        }
    }
}
