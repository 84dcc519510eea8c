//! Packs the browser files into the table that `assets.rs` includes: scripts and styles without their comments, everything else as it
//! lies, and compressed where that helps.
//!
//! Only files a browser asks for are packed (by extension); types, tests and package metadata stay out of the binary.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

mod strip;

/// Folders walked whole; files lying directly in `web/` are taken too.
const FOLDERS: [&str; 2] = ["app", "client"];
/// What a page may load. Everything else in the folders is for developers.
const SERVED: [&str; 10] = [
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
/// What sheds its comments.
const STRIPPED: [&str; 2] = ["js", "css"];
/// Already compressed formats gain nothing from a second pass.
const PACKED: [&str; 4] = ["png", "ico", "woff2", "webp"];

fn main() {
    let web =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut files = Vec::new();
    for folder in FOLDERS {
        println!("cargo::rerun-if-changed={folder}");
        collect(&web.join(folder), true, &mut files)
            .unwrap_or_else(|error| panic!("walking web/{folder}: {error}"));
    }
    collect(&web, false, &mut files).unwrap_or_else(|error| panic!("listing web/: {error}"));
    files.sort();

    let mut table = String::from("[\n");
    for (index, file) in files.iter().enumerate() {
        println!("cargo::rerun-if-changed={}", file.display());
        pack(&mut table, &out, index, &url_path(&web, file), file);
    }
    table.push(']');
    fs::write(out.join("table.rs"), table).expect("writing the asset table");
}

/// Writes one row of the table, and the compressed bodies it includes.
fn pack(table: &mut String, out: &Path, index: usize, path: &str, file: &Path) {
    let bytes = &read(file);
    let compressible = !PACKED.contains(&extension(file));
    let include = |name: &str, body: &[u8]| {
        let target = out.join(format!("{index}.{name}"));
        fs::write(&target, body)
            .unwrap_or_else(|error| panic!("writing {}: {error}", target.display()));
        format!("include_bytes!({target:?})")
    };
    let variant = |name: &str, body: Vec<u8>| {
        // A body that did not shrink is not worth a second copy in the binary.
        if compressible && body.len() < bytes.len() {
            format!("Some({})", include(name, &body))
        } else {
            "None".to_owned()
        }
    };
    let identity = include("identity", bytes);
    let brotli = variant("br", brotli_of(bytes));
    let gzip = variant("gz", gzip_of(bytes));
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tag = format!("{:016x}", hasher.finish());
    writeln!(
        table,
        "Asset {{ path: {path:?}, tag: {tag:?}, identity: {identity}, gzip: {gzip}, brotli: {brotli} }},"
    )
    .expect("a String takes every write");
}

/// What is served of a file.
fn read(file: &Path) -> Vec<u8> {
    let name = file.display();
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("reading {name}: {error}"));
    if !STRIPPED.contains(&extension(file)) {
        return bytes;
    }
    let text = String::from_utf8(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    strip::whole_line_comments(&text).into_bytes()
}

fn collect(folder: &Path, deep: bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if deep {
                collect(&path, deep, files)?;
            }
        } else if SERVED.contains(&extension(&path)) {
            files.push(path);
        }
    }
    Ok(())
}

fn url_path(web: &Path, file: &Path) -> String {
    let inside = file
        .strip_prefix(web)
        .expect("every file was found below web/");
    let parts: Vec<_> = inside
        .iter()
        .map(|part| part.to_str().expect("file names in web/ are UTF-8"))
        .collect();
    format!("/{}", parts.join("/"))
}

fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or("")
}

fn brotli_of(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 20,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &bytes[..], &mut packed, &parameters)
        .expect("compressing in memory");
    packed
}

fn gzip_of(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("compressing in memory");
    encoder.finish().expect("compressing in memory")
}
