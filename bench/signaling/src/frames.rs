//! WebSocket frames (RFC 6455 §5), as much as a client of a server that sends whole, unmasked frames needs.

use anyhow::{Context, bail};

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The opening handshake (§1.2) as Chromium sends it from a page of this server. The key is the RFC's own sample: the generator
/// needs no randomness here.
pub fn upgrade_request(host: &str, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\n\
         Upgrade: websocket\r\nOrigin: http://{host}\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
         Accept-Language: en-US,en;q=0.9\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
    )
}

/// Length of the response head, once all of it is there; an error unless it is the answer to [`upgrade_request`].
pub fn upgrade_response(data: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = data.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&data[..end]).context("a response head that is not text")?;
    if !head.starts_with("HTTP/1.1 101 ") || !head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
        bail!("the server did not upgrade: {head}");
    }
    Ok(Some(end + 4))
}

/// Appends a client's frame. Its masking key is zero, so masking (§5.3) changes nothing here and costs the server the same.
pub fn encode(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
}

/// One frame: opcode, payload, and the length of it all; `None` while it is incomplete.
pub fn decode(data: &[u8]) -> anyhow::Result<Option<(u8, &[u8], usize)>> {
    let [first, second, rest @ ..] = data else {
        return Ok(None);
    };
    if first & 0xf0 != 0x80 || second & 0x80 != 0 {
        bail!("a frame that is a fragment, has reserved bits or is masked: {first:#x} {second:#x}");
    }
    let extended = match second {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(bytes) = rest.get(..extended) else {
        return Ok(None);
    };
    let length = match extended {
        0 => usize::from(*second),
        _ => bytes
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    Ok(rest[extended..]
        .get(..length)
        .map(|payload| (first & 0x0f, payload, 2 + extended + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_at_every_border_survive() {
        for length in [0, 1, 125, 126, 127, 0xffff, 0x10000] {
            let payload = vec![b'x'; length];
            let mut masked = Vec::new();
            encode(&mut masked, TEXT, &payload);
            // What the server would send: no masking bit, no key.
            let key = masked.len() - length - 4;
            let mut plain = [&masked[..key], &payload].concat();
            plain[1] &= 0x7f;
            assert!(decode(&plain[..plain.len() - 1]).unwrap().is_none());
            let (opcode, found, taken) = decode(&plain).unwrap().unwrap();
            assert_eq!((opcode, found, taken), (TEXT, &payload[..], plain.len()));
        }
    }
}
