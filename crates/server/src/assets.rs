//! Browser files: from a table handed in by whoever starts the server, or from a folder while developing.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// One file of an [`Assets::Table`].
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Where it is served, e.g. `/app/index.html`.
    pub path: &'static str,
    /// Changes when the content does; the body of its `ETag`.
    pub tag: &'static str,
    /// The bytes as they are.
    pub identity: &'static [u8],
    /// The same as `Content-Encoding: gzip`.
    pub gzip: Option<&'static [u8]>,
    /// The same as `Content-Encoding: br`.
    pub brotli: Option<&'static [u8]>,
}

/// Where browser files come from.
#[derive(Debug, Clone)]
pub enum Assets {
    /// Built into the program, sorted by path.
    Table(Vec<Asset>),
    /// Read anew for every request; not compressed.
    Folder(PathBuf),
}

impl Default for Assets {
    /// No files: a server for signaling alone.
    fn default() -> Self {
        Self::Table(Vec::new())
    }
}

/// A file in the encoding chosen for one request.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) body: Bytes,
    pub(crate) content_type: &'static str,
    pub(crate) encoding: Option<&'static str>,
    pub(crate) etag: String,
}

impl Assets {
    /// The file at a URL path, best packed for `accept_encoding`.
    pub(crate) fn find(&self, path: &str, accept_encoding: &str) -> Option<File> {
        let path = if path == "/" { "/app/index.html" } else { path };
        let content_type = content_type(path)?;
        match self {
            Self::Table(table) => {
                let asset = &table[table.binary_search_by(|asset| asset.path.cmp(path)).ok()?];
                let (body, encoding) = choose(asset, accept_encoding);
                // Each encoding is a representation of its own (RFC 9110 §8.8.3.3).
                let etag = format!(
                    "\"{}{}\"",
                    asset.tag,
                    encoding.map_or("", |encoding| if encoding == "br" { "-br" } else { "-gz" })
                );
                Some(File {
                    body: Bytes::from_static(body),
                    content_type,
                    encoding,
                    etag,
                })
            }
            Self::Folder(folder) => {
                let body = read(folder, path)?;
                let mut hasher = DefaultHasher::new();
                body.hash(&mut hasher);
                let etag = format!("\"{:016x}\"", hasher.finish());
                Some(File {
                    body: body.into(),
                    content_type,
                    encoding: None,
                    etag,
                })
            }
        }
    }
}

fn choose(asset: &Asset, accept_encoding: &str) -> (&'static [u8], Option<&'static str>) {
    let packed = [("br", asset.brotli), ("gzip", asset.gzip)];
    let chosen = packed.into_iter().find_map(|(name, body)| {
        Some((body.filter(|_| accepts(accept_encoding, name))?, Some(name)))
    });
    chosen.unwrap_or((asset.identity, None))
}

/// RFC 9110 §12.5.3, without weights except that zero means no.
fn accepts(header: &str, encoding: &str) -> bool {
    header.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let refused = parts.any(|weight| {
            weight
                .strip_prefix("q=")
                .is_some_and(|q| q.parse() == Ok(0.0))
        });
        named && !refused
    })
}

/// Reads `folder` + `path`, and nothing outside `folder`: not by dots, not by links. Blocks for a local file; developers only.
fn read(folder: &Path, path: &str) -> Option<Vec<u8>> {
    let inside = path.strip_prefix('/')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !inside
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain))
    {
        return None;
    }
    let folder = folder.canonicalize().ok()?;
    let file = folder.join(inside).canonicalize().ok()?;
    if !file.starts_with(&folder) || !file.is_file() {
        return None;
    }
    std::fs::read(file).ok()
}

/// The types of files that are served at all; others do not exist.
fn content_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_chosen_by_what_the_browser_takes() {
        let asset = Asset {
            path: "/a.js",
            tag: "t",
            identity: b"plain",
            gzip: Some(b"gz"),
            brotli: Some(b"br"),
        };
        let assets = Assets::Table(vec![asset]);
        for (header, body, encoding, etag) in [
            (
                "gzip, deflate, br, zstd",
                &b"br"[..],
                Some("br"),
                "\"t-br\"",
            ),
            ("gzip;q=0.5, br;q=0", b"gz", Some("gzip"), "\"t-gz\""),
            ("", b"plain", None, "\"t\""),
            ("brotli", b"plain", None, "\"t\""),
        ] {
            let file = assets.find("/a.js", header).unwrap();
            assert_eq!(
                (&file.body[..], file.encoding, file.etag.as_str()),
                (body, encoding, etag),
                "{header}"
            );
        }
    }

    #[test]
    fn a_folder_gives_nothing_outside_itself() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("web");
        std::fs::create_dir_all(folder.join("app")).unwrap();
        std::fs::write(outside.path().join("secret.txt"), "secret").unwrap();
        std::fs::write(folder.join("app/index.html"), "page").unwrap();
        std::fs::write(folder.join("app/.hidden.txt"), "hidden").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.txt"), folder.join("link.txt"))
            .unwrap();
        let assets = Assets::Folder(folder);
        assert_eq!(&assets.find("/", "br").unwrap().body[..], b"page");
        for path in [
            "/../secret.txt",
            "/app/../../secret.txt",
            "/%2e%2e/secret.txt",
            "/link.txt",
            "//secret.txt",
            "/app/.hidden.txt",
            "/app",
            "/app/",
            "/..\\secret.txt",
        ] {
            assert!(assets.find(path, "").is_none(), "{path}");
        }
    }
}
