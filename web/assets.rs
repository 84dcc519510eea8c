//! The browser files of Crowfly, as a table the server can hand out.
//!
//! `build.rs` packs `web/app/`, `web/client/` and the files lying directly in `web/` at build time. They are served line for line as
//! they lie there, scripts and styles without their comments; `serve --web-dir` reads them from disk instead, as they are.

/// One browser file: its bytes, and the same compressed where that made it smaller.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Where it is served, e.g. `/app/index.html`.
    pub path: &'static str,
    /// Changes when the content does; the body of an `ETag` (RFC 9110 §8.8.3).
    pub tag: &'static str,
    /// What is served of the file.
    pub identity: &'static [u8],
    /// `Content-Encoding: gzip`.
    pub gzip: Option<&'static [u8]>,
    /// `Content-Encoding: br`.
    pub brotli: Option<&'static [u8]>,
}

/// Every browser file, sorted by path.
pub static ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// Belongs to `build.rs`, which cannot have tests of its own.
#[cfg(test)]
mod strip;

#[cfg(test)]
mod tests {
    use super::ASSETS;

    #[test]
    fn a_browser_gets_only_what_it_can_use() {
        for asset in ASSETS {
            let known = [
                "html",
                "js",
                "css",
                "svg",
                "png",
                "ico",
                "webmanifest",
                "woff2",
                "txt",
                "webp",
            ];
            let extension = asset.path.rsplit('.').next().unwrap_or_default();
            assert!(
                asset.path.starts_with('/') && known.contains(&extension),
                "{}",
                asset.path
            );
        }
    }

    #[test]
    fn compressed_bodies_are_smaller() {
        for asset in ASSETS {
            for packed in [asset.gzip, asset.brotli].into_iter().flatten() {
                assert!(packed.len() < asset.identity.len(), "{}", asset.path);
            }
        }
    }
}
