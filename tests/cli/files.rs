//! Commands that need no service.

use std::process::Stdio;

use portcullis::domain::FeatureMatrix;

use super::{command, run};

#[test]
fn the_matrix_is_printed_and_is_read_again() {
    let printed = run(&["matrix"], &[]);
    assert_eq!((printed.code, printed.err.as_str()), (0, ""));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("matrix.yaml");
    std::fs::write(&file, &printed.out).unwrap();
    let file = file.to_str().unwrap();
    let again = run(&["matrix"], &[("PORTCULLIS_MATRIX", file)]);
    assert_eq!((again.code, again.out), (0, printed.out));
    let table = run(&["matrix", "--format", "table"], &[]);
    assert!(table.out.contains("\npricing.view"), "{}", table.out);
}

#[test]
fn a_matrix_error_names_file_line_feature_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("matrix.yaml");
    let wrong = FeatureMatrix::BUILT_IN.replacen("direct: allow", "direct: maybe", 1);
    std::fs::write(&file, wrong).unwrap();
    let file = file.to_str().unwrap();
    for command in ["matrix", "serve"] {
        let run = run(&[command, "--matrix", file], &[]);
        assert_eq!((run.code, run.out.as_str()), (2, ""));
        assert!(
            run.err.starts_with(&format!("error: {file}: line ")),
            "{}",
            run.err
        );
        for part in [
            "feature `billing_markets.view`",
            "`direct`",
            "`maybe`",
            "`allow` or `deny`",
        ] {
            assert!(run.err.contains(part), "{part}: {}", run.err);
        }
    }
    let missing = run(&["matrix", "--matrix", "/no/such/file"], &[]);
    assert_eq!(
        missing.err,
        "error: cannot read `/no/such/file` (`--matrix`): no such file or directory\n"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut matrix = command(&["matrix"], &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(matrix.stdout.take());
    let ended = matrix.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    assert_eq!(ended.status.code(), Some(0));
}
