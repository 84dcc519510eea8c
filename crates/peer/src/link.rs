//! Links, codes and addresses: what people hand to each other, and where a server is reached.

use std::fmt;
use std::str::FromStr;

use crowfly_protocol::{InvalidCode, RoomCode, RoomKey, RoomName};
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
    /// It begins like a code and is none.
    #[error(transparent)]
    Code(#[from] InvalidCode),
    /// A part of its secret is missing or changed.
    #[error("the secret of this link is damaged")]
    Damaged,
}

/// What a link, a code or a name says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Which room.
    pub name: RoomName,
    /// Where; a link's own.
    pub server: Option<ServerUrl>,
    /// What the two share and the server has not; without it the room is an open one.
    pub secret: Option<Secret>,
}

/// The secret of a sealed room.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secret {
    /// A link's.
    Key(RoomKey),
    /// Words, from which the key takes a moment to make.
    Code(RoomCode),
}

/// What a link, a code or a name says. Who gives a secret that is damaged gets an error, and not into an open room.
///
/// # Errors
///
/// [`LinkError`] when there is no room name in it, what stands before it is no web address, or its secret is damaged.
pub fn parse_room(link_or_code: &str) -> Result<Place, LinkError> {
    let text = link_or_code.trim();
    let (server, place) = match text.split_once('#') {
        Some(("", place)) => (None, place),
        Some((page, place)) => (Some(page.parse()?), place),
        None => (None, text),
    };
    let decoded = percent_decode_str(place)
        .decode_utf8()
        .map_err(|_| LinkError::NoRoom)?;
    let (name, secret) = read(decoded.trim())?;
    Ok(Place {
        name,
        server,
        secret,
    })
}

fn read(place: &str) -> Result<(RoomName, Option<Secret>), LinkError> {
    if let Some((name, key)) = place.rsplit_once('.')
        && let Ok(name) = RoomName::parse(name)
        && name.is_drawn()
    {
        let key = key.parse().map_err(|_| LinkError::Damaged)?;
        return Ok((name, Some(Secret::Key(key))));
    }
    if let Some(code) = RoomCode::parse(place) {
        let code = code?;
        return Ok((code.room().clone(), Some(Secret::Code(code))));
    }
    let name = RoomName::parse(place).map_err(|_| LinkError::NoRoom)?;
    Ok((name, None))
}

impl ServerUrl {
    /// What another page opens: of a sealed room, a secret. The fragment never reaches a server.
    pub fn room_link(&self, name: &RoomName, key: Option<&RoomKey>) -> String {
        let name = utf8_percent_encode(name.as_str(), FRAGMENT);
        let key = key.map(|key| format!(".{}", key.reveal()));
        format!("{}#{name}{}", self.base, key.unwrap_or_default())
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
            parse_room(text).map(|place| {
                assert_eq!(place.secret, None);
                (
                    place.name.as_str().to_owned(),
                    place.server.map(|server| server.to_string()),
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
            server.room_link(&name, None),
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
            let Ok(place) = parse_room(&text) else {
                continue;
            };
            if let Some(server) = &place.server {
                let link = server.room_link(&place.name, None);
                assert_eq!(parse_room(&link), Ok(place), "{text}");
            }
        }
    }

    #[test]
    fn a_secret_is_read_whole_or_leads_nowhere() {
        let server: ServerUrl = "https://crows.example".parse().expect("an address");
        let (name, key) = (RoomName::drawn(7), RoomKey::from_bytes([7; RoomKey::BYTES]));
        let link = server.room_link(&name, Some(&key));
        let place = parse_room(&link).expect("a link");
        assert_eq!((&place.name, place.secret), (&name, Some(Secret::Key(key))));
        let code = RoomCode::drawn(name.clone(), [7; 4]).expect("a code");
        for text in [
            code.reveal(),
            format!("https://crows.example/#{}", code.reveal().replace('-', " ")),
        ] {
            let place = parse_room(&text).expect("a code");
            assert_eq!(
                (&place.name, place.secret),
                (&name, Some(Secret::Code(code.clone())))
            );
        }
        for cut in 1..43 {
            assert_eq!(
                parse_room(&link[..link.len() - cut]),
                Err(LinkError::Damaged)
            );
        }
        let typo = parse_room(&format!("{}x", code.reveal()));
        assert!(
            matches!(typo, Err(LinkError::Code(InvalidCode::UnknownWord { .. }))),
            "{typo:?}"
        );
    }
}
