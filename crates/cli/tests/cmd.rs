//! What the command line says: each file in `cmd/` is a session with its output and exit code. `TRYCMD=overwrite` writes them anew.

#[test]
fn sessions() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
