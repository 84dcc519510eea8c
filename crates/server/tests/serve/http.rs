//! Pages and what goes with them.

use crowfly_server::{Asset, Assets, Config};

use crate::kit::{TestServer, config, pair, signal};

fn with_assets() -> TestServer {
    let page = Asset {
        path: "/app/index.html",
        tag: "aa",
        identity: b"<p>page",
        gzip: Some(b"gz"),
        brotli: Some(b"br"),
    };
    let script = Asset {
        path: "/client/index.js",
        tag: "bb",
        identity: b"export {}",
        gzip: None,
        brotli: None,
    };
    TestServer::start(Config {
        assets: Assets::Table(vec![page, script]),
        ..config()
    })
}

#[test]
fn files_come_with_their_type_packed_as_the_browser_takes_them() {
    let server = with_assets();
    let plain = server.get("/");
    assert_eq!((plain.status, plain.text()), (200, "<p>page"));
    assert_eq!(plain.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(
        (plain.header("etag"), plain.header("vary")),
        ("\"aa\"", "accept-encoding")
    );
    let packed = server.request("GET", "/app/index.html", &[("accept-encoding", "gzip, br")]);
    assert_eq!(
        (
            packed.text(),
            packed.header("content-encoding"),
            packed.header("etag")
        ),
        ("br", "br", "\"aa-br\"")
    );
    let script = server.get("/client/index.js");
    assert_eq!(
        script.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(
        script.header("access-control-allow-origin"),
        "*",
        "any page may import the client"
    );
    let head = server.request("HEAD", "/", &[]);
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, "7", 0)
    );
}

#[test]
fn a_file_the_browser_has_is_not_sent_again() {
    let server = with_assets();
    for (tags, status) in [
        ("\"aa\"", 304),
        ("\"x\", W/\"aa\"", 304),
        ("\"bb\"", 200),
        ("\"aa-br\"", 200),
    ] {
        let answer = server.request("GET", "/", &[("if-none-match", tags)]);
        assert_eq!(
            (answer.status, answer.header("etag")),
            (status, "\"aa\""),
            "{tags}"
        );
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}

#[test]
fn nothing_else_is_there() {
    let server = with_assets();
    for path in [
        "/app",
        "/app/",
        "/index.html",
        "/app/index.html/",
        "/app/../app/index.html",
        "/app/%69ndex.html",
        "//",
    ] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    let posted = server.request("POST", "/", &[("content-length", "0")]);
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
}

#[test]
fn every_answer_is_strict() {
    let server = with_assets();
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("GET", "/healthz"),
        ("GET", "/metrics"),
        ("POST", "/"),
        ("GET", "/ws"),
    ] {
        let answer = server.request(method, path, &[]);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(
            answer.header("cross-origin-opener-policy"),
            "same-origin",
            "{path}"
        );
        assert!(
            answer.header("permissions-policy").contains("camera=()"),
            "{path}"
        );
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{path}: {policy}"
        );
    }
    let page = server.get("/");
    let own = format!("connect-src 'self' ws://{0} wss://{0};", server.address);
    assert!(page.header("content-security-policy").contains(&own));
}

#[test]
fn metrics_count_what_happened_for_this_machine_only() {
    let server = with_assets();
    let (mut waiting, mut joining, _) = pair(&server);
    joining.say(&signal("1"));
    waiting.hear();
    joining.say(r#"{"type":"weather"}"#);
    joining.hear();
    let answer = server.get("/metrics");
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    for line in [
        "crowfly_connections 2",
        "crowfly_rooms 1",
        "crowfly_pairings_total 1",
        "crowfly_signals_relayed_total 1",
        "crowfly_refusals_total{code=\"unknown-type\"} 1",
        "crowfly_http_requests_total{status=\"101\"} 2",
    ] {
        assert!(
            answer.text().lines().any(|found| found == line),
            "{line} in\n{}",
            answer.text()
        );
    }
    for proxied in ["x-forwarded-for", "forwarded"] {
        assert_eq!(
            server
                .request("GET", "/metrics", &[(proxied, "127.0.0.1")])
                .status,
            404
        );
    }
    let elsewhere = TestServer::start(Config {
        metrics_from: vec!["192.0.2.0/24".parse().unwrap()],
        ..config()
    });
    assert_eq!(elsewhere.get("/metrics").status, 404);
}

#[test]
fn health_is_told() {
    let server = with_assets();
    assert_eq!(
        (server.get("/healthz").status, server.get("/healthz").text()),
        (200, "ok\n")
    );
}
