//! What peers send each other.

use bytes::Bytes;

/// One message, whole, however it travelled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// Text (PPID 51, RFC 8831 §8; on the main channel within its frames).
    Text(String),
    /// Bytes (PPID 53).
    Binary(Bytes),
    /// Bytes with a name, as a browser sends a File or a Blob; on the main channel only.
    Blob {
        /// Of a File; a name only, never to be trusted as a path.
        name: Option<String>,
        /// Its media type, possibly empty.
        media_type: String,
        /// All of it.
        data: Bytes,
    },
}

impl Message {
    /// Bytes of the content.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(data) | Self::Blob { data, .. } => data.len(),
        }
    }

    /// Whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `text`, `binary` or `blob`, as the trace has it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Binary(_) => "binary",
            Self::Blob { .. } => "blob",
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Self::Binary(data)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Self::Binary(data.into())
    }
}
