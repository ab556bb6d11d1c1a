//! What may know what: the core holds no SDK, no runtime, no clock and no environment, and only
//! one file knows API Gateway.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

const CORE: [&str; 10] = [
    "access.rs",
    "create_repository/input.rs",
    "error.rs",
    "json.rs",
    "manifest.rs",
    "names.rs",
    "repository.rs",
    "put_image/decision.rs",
    "put_image/input.rs",
    "put_image/push.rs",
];

/// A source file without its tests.
fn source(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    text.split("#[cfg(test)]").next().unwrap().to_owned()
}

fn files(folder: &Path, found: &mut Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
        }
    }
}

#[test]
fn the_core_is_pure() {
    let foreign = [
        "aws_sdk_",
        "aws_config",
        "aws_lambda_events",
        "lambda_runtime",
        "tokio",
        "std::env",
        "SystemTime",
        "Instant",
        "async fn",
        "crate::table",
        "crate::layers",
        "crate::bodies",
        "crate::data_key",
        "crate::gateway",
        "crate::App",
    ];
    for file in CORE {
        let source = source(file);
        for word in foreign {
            assert!(!source.contains(word), "src/{file} knows {word}");
        }
    }
}

#[test]
fn only_the_edge_knows_http() {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    assert!(all.len() > 15);
    let edge = ["gateway.rs", "main.rs", "bin/sweeper.rs"];
    for file in all.iter().filter(|file| !edge.contains(&file.as_str())) {
        let source = source(file);
        for word in ["aws_lambda_events", "ApiGateway", "HeaderMap", "lambda_runtime"] {
            assert!(!source.contains(word), "src/{file} knows {word}");
        }
    }
    for (sdk, owners) in [
        ("aws_sdk_dynamodb", ["table"].as_slice()),
        ("aws_sdk_s3", &["layers.rs", "bodies.rs"]),
        ("aws_sdk_kms", &["data_key.rs"]),
    ] {
        for file in &all {
            let owns = owners.iter().any(|owner| file.starts_with(owner));
            assert!(owns || !source(file).contains(sdk), "src/{file} knows {sdk}");
        }
    }
}
