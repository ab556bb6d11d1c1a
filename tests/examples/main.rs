//! The examples as people run them: real processes, their exit codes and their output.
//!
//! `cargo test` builds the examples. `cargo test --test examples` alone does not, so run
//! `cargo build --examples` first.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

mod layout;
mod process;

use aws_sdk_ecr::error::ProvideErrorMetadata as _;
use aws_sdk_ecr::types::{EncryptionConfiguration, EncryptionType};
use aws_sdk_s3::primitives::ByteStream;
use layout::Layout;
use process::{Serve, push, serve};
use serde_json::json;

#[test]
fn push_shows_the_references_sample() {
    let shown = push(&[], &[]);
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""));
    for line in [
        "1. CreateRepository amazonlinux in registry 012345678910",
        "   012345678910/amazonlinux/sha256/8e3fa21c4cc4…",
        "   the same   imageId/imageDigest     sha256:f1d4ae3f7261a72e98c6ebefe9985cf10a0ea5bd762585a43e0700ed99863807",
        "   the same   imageId/imageTag        2016.09",
        "   the same   imageManifest           529 bytes, as they were sent",
        "   R#<repoId>  TAG#2016.09",
    ] {
        assert!(shown.stdout.lines().any(|shown| shown == line), "{line}\n{}", shown.stdout);
    }
    assert!(!shown.stdout.contains("DIFFERENT"));

    // The README shows this output. Everything except the time is the same in every run.
    let (all, last) = shown.stdout.trim_end().rsplit_once('\n').unwrap();
    let again = push(&[], &[]);
    assert_eq!(again.stdout.trim_end().rsplit_once('\n').unwrap().0, all);
    let calls = regex::Regex::new(r"^\d+ calls to AWS services for the push \(.*\) in \d+ ms$");
    assert!(calls.unwrap().is_match(last), "{last}");
}

#[tokio::test]
async fn serve_exports_what_clients_need() {
    let mut serve = Serve::start(&["--port", "0"], &[]);
    assert_eq!(
        serve.names(),
        [
            "AWS_ENDPOINT_URL_ECR",
            "AWS_ENDPOINT_URL_S3",
            "AWS_ENDPOINT_URL_DYNAMODB",
            "AWS_ENDPOINT_URL_KMS",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "TABLE_NAME",
            "LAYER_BUCKET",
            "DEFAULT_KMS_KEY",
            "MANIFEST_BUCKET",
        ]
    );

    let manifest = Image::put(&serve, "app/web").await;
    assert_eq!(manifest.push(&serve, "1.0").await, Ok(()));
    assert_eq!(manifest.push(&serve, "1.0").await, Err("ImageAlreadyExistsException".to_owned()));
    assert_eq!(manifest.push(&serve, "1.1").await, Ok(()));
    assert_eq!(serve.terminate("TERM"), Some(0));
}

#[tokio::test]
async fn serve_has_a_default_key_like_the_deployed_stack() {
    let serve = Serve::start(&["--port", "0"], &[]);
    let encryption = EncryptionConfiguration::builder().encryption_type(EncryptionType::Kms);
    let create = serve.ecr().create_repository().repository_name("sealed");
    let created = create.encryption_configuration(encryption.build().unwrap()).send().await;
    let repository = created.unwrap().repository.unwrap();
    let key = repository.encryption_configuration.unwrap().kms_key.unwrap();
    assert!(key.starts_with("arn:aws:kms:us-west-2:012345678910:key/"), "{key}");
    // An index without children needs no layers.
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": [] });
    let put = serve.ecr().put_image().repository_name("sealed").image_tag("1.0");
    put.image_manifest(index.to_string()).send().await.unwrap();
    assert_eq!(serve.sort_keys("TAG#").await, ["TAG#1.0"]);
}

#[tokio::test]
async fn serve_has_three_resources_below_a_base_path_too() {
    for arguments in [&["--port", "0"][..], &["--port", "0", "--base-path", "/ecr/v1"]] {
        let serve = Serve::start(arguments, &[]);
        let manifest = Image::put(&serve, "app/web").await;
        assert_eq!(manifest.push_at(&serve, "", "1.0").await, Ok(()));
        assert_eq!(manifest.push_at(&serve, "/push", "1.1").await, Ok(()));
        let denied = Err("AccessDeniedException".to_owned());
        assert_eq!(manifest.push_at(&serve, "/pull", "1.2").await, denied);
        let create = serve.ecr_at("/push").create_repository().repository_name("other");
        let denied = create.send().await.unwrap_err();
        assert_eq!(denied.code(), Some("AccessDeniedException"));
        assert_eq!(serve.sort_keys("TAG#").await, ["TAG#1.0", "TAG#1.1"]);
        assert_eq!(serve.sort_keys("#META").await.len(), 1);
    }
    for bad in ["ecr", "/", "/ecr/", "/e?r", "//ecr", ""] {
        let ended = serve(&["--base-path", bad], &[]);
        assert_ne!(ended.code, Some(0), "{bad}");
        assert!(ended.stderr.contains("--base-path wants a path such as /ecr"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn with_a_data_directory_everything_survives_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["--port", "0", "--data", data.path().to_str().unwrap()];
    let mut serve = Serve::start(&arguments, &[]);
    let manifest = Image::put(&serve, "app/web").await;
    assert_eq!(manifest.push(&serve, "1.0").await, Ok(()));
    serve.kill();

    let mut serve = Serve::start(&arguments, &[]);
    let again = manifest.push(&serve, "1.0").await;
    assert_eq!(again, Err("ImageAlreadyExistsException".to_owned()));
    assert_eq!(serve.layers().await.len(), 2);
    // Another image of the same layers needs no new upload.
    let other = Image { text: manifest.text.replace('{', "{ "), ..manifest };
    assert_eq!(other.push(&serve, "2.0").await, Ok(()));
    assert_eq!(serve.terminate("INT"), Some(0));
}

#[tokio::test]
async fn the_environment_sets_the_quotas() {
    let serve = Serve::start(&["--port", "0"], &[("TAGS_PER_IMAGE", "1")]);
    let manifest = Image::put(&serve, "app/web").await;
    assert_eq!(manifest.push(&serve, "1.0").await, Ok(()));
    assert_eq!(manifest.push(&serve, "1.1").await, Err("LimitExceededException".to_owned()));
}

#[test]
fn serve_prints_one_line_if_it_cannot_start() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port().to_string();
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap();
    for (arguments, environment, says) in [
        (vec!["--port", &taken], vec![], "cannot listen on 127.0.0.1:"),
        (vec!["--port", "0", "--data", file], vec![], "cannot keep data in "),
        (vec!["--port", "0"], vec![("LAYERS_PER_IMAGE", "0")], "LAYERS_PER_IMAGE is not a whole"),
        (vec!["--port", "65536"], vec![], "(see --help)"),
        (vec!["--address", "nowhere"], vec![], "(see --help)"),
        (vec!["--verbose"], vec![], "(see --help)"),
        (vec!["--data"], vec![], "(see --help)"),
    ] {
        let failed = serve(&arguments, &environment);
        failed.fails_with_one_line(says);
        assert_eq!(failed.stdout, "");
    }
}

#[test]
fn help_is_on_standard_output() {
    for help in [push(&["--help"], &[]), serve(&["--help"], &[])] {
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
        assert!(help.stdout.contains("Usage: cargo run --example"));
    }
}

#[tokio::test]
async fn an_index_goes_to_the_endpoint_with_its_children_and_their_layers() {
    let serve = Serve::start(&["--port", "0"], &[]);
    let layout = Layout::of_two_platforms("1.0");
    let pushed = serve.push(&layout, "app/web", &[]);
    assert_eq!((pushed.code, pushed.stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = pushed.stdout.lines().collect();
    let [first, second, index] = layout.manifests();
    assert_eq!(
        lines,
        [
            "repository app/web in registry 012345678910: created".to_owned(),
            format!("{first}: linux/amd64, 3 of 3 blobs sent (51 B): stored"),
            format!("{second}: linux/arm64/v8, 2 of 3 blobs sent (34 B): stored"),
            format!("{index}: an index of 2: stored"),
            format!("app/web:1.0 is {index}"),
        ]
    );
    assert_eq!(serve.layers().await, layout.keys("012345678910/app/web"));
    let tags = serve.sort_keys("TAG#").await;
    assert_eq!(tags, ["TAG#1.0"]);
    assert_eq!(serve.sort_keys("IMAGE#").await.len(), 3);

    // Pushed again, nothing is left to do. Under another name, only the tag is new.
    let again = serve.push(&layout, "app/web:1.0", &[]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(again.stdout.matches(": already there\n").count(), 4, "{}", again.stdout);
    assert!(again.stdout.contains(" 0 of 3 blobs sent (0 B): already there\n"));
    let renamed = serve.push(&layout, "app/web:2.0", &[]);
    assert!(renamed.stdout.contains(&format!("{index}: an index of 2: stored")));
    assert_eq!(serve.sort_keys("TAG#").await, ["TAG#1.0", "TAG#2.0"]);
}

#[test]
fn without_an_endpoint_an_image_goes_into_memory() {
    let layout = Layout::of_two_platforms("1.0");
    let pushed = push(&[layout.path(), "app/web:stable"], &[]);
    assert_eq!((pushed.code, pushed.stderr.as_str()), (Some(0), ""));
    let [_, _, index] = layout.manifests();
    assert!(pushed.stdout.contains(&format!("\napp/web:stable is {index}\n")), "{}", pushed.stdout);
}

#[test]
fn the_tag_defaults_to_the_images_name_and_then_to_latest() {
    let pushed_as = |layout: &Layout| {
        let pushed = push(&[layout.path(), "app/web"], &[]);
        assert_eq!((pushed.code, pushed.stderr.as_str()), (Some(0), ""));
        let (_, last) = pushed.stdout.trim_end().rsplit_once('\n').unwrap();
        last.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(pushed_as(&Layout::of_images(&[Some("3.20")])), "app/web:3.20");
    assert_eq!(pushed_as(&Layout::of_images(&[None])), "app/web:latest");

    let named = Layout::of_images(&[Some("registry.example/app:1")]);
    push(&[named.path(), "app/web"], &[]).fails_with_one_line("is no tag: say REPOSITORY:TAG");
    assert_eq!(push(&[named.path(), "app/web:1"], &[]).code, Some(0));
}

#[test]
fn the_tag_chooses_among_several_images() {
    let layout = Layout::of_images(&[Some("one"), Some("two"), None]);
    let [_, two, _] = layout.manifests();
    let chosen = push(&[layout.path(), "app/web:two"], &[]);
    assert!(chosen.stdout.contains(&format!("app/web:two is {two}\n")), "{}", chosen.stderr);
    for target in ["app/web", "app/web:three"] {
        push(&[layout.path(), target], &[]).fails_with_one_line(
            "choose one of its images with REPOSITORY:TAG: one, two, (unnamed)",
        );
    }
}

#[tokio::test]
async fn nothing_is_pushed_from_a_broken_layout() {
    let serve = Serve::start(&["--port", "0"], &[]);
    for (break_it, says) in layout::WAYS_TO_BREAK {
        let mut layout = Layout::of_two_platforms("1.0");
        break_it(&mut layout);
        let failed = serve.push(&layout, "app/web", &[]);
        failed.fails_with_one_line(says);
        assert_eq!(failed.stdout, "", "{says}");
    }
    assert_eq!(serve.layers().await, [""; 0]);
    assert_eq!(serve.sort_keys("").await, [""; 0]);
}

#[tokio::test]
async fn an_error_is_printed_in_the_services_own_words() {
    let serve = Serve::start(&["--port", "0"], &[("LAYERS_PER_IMAGE", "1")]);
    let layout = Layout::of_two_platforms("1.0");
    let failed = serve.push(&layout, "app/web", &[]);
    assert_eq!(failed.code, Some(1));
    assert_eq!(
        failed.stderr,
        "push: InvalidParameterException: Invalid parameter at 'ImageManifest' failed to satisfy \
         constraint: 'Limit on number of layers per image exceeded'\n"
    );
    let failed = serve.push(&layout, "app/web", &[("LAYER_BUCKET", "elsewhere")]);
    failed.fails_with_one_line("push: NoSuchBucket: ");
    let failed = serve.push(&layout, "app/web", &[("LAYER_BUCKET", "")]);
    failed.fails_with_one_line("LAYER_BUCKET is not set");
    let gone = [("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")];
    serve.push(&layout, "app/web", &gone).fails_with_one_line("no answer from S3: ");
}

#[tokio::test]
async fn layers_may_be_named_by_sha512() {
    let serve = Serve::start(&["--port", "0"], &[]);
    let broken = Layout::of_a_sha512_layer("xayer");
    serve.push(&broken, "app/web", &[]).fails_with_one_line("its digest is sha512:");
    let layout = Layout::of_a_sha512_layer("layer");
    let pushed = serve.push(&layout, "app/web", &[]);
    assert_eq!((pushed.code, pushed.stderr.as_str()), (Some(0), ""));
    assert_eq!(serve.layers().await, layout.keys("012345678910/app/web"));
}

#[test]
fn requests_to_api_gateway_are_signed_for_it() {
    for (path, service) in [("", "ecr"), ("/execute-api", "execute-api")] {
        let response = r#"{"__type":"AccessDeniedException","message":"not you"}"#;
        let server = process::RespondOnce::start(400, response);
        let layout = Layout::of_images(&[None]);
        let url = format!("{}{path}", server.url);
        let failed = push(
            &[layout.path(), "app/web", "--endpoint", &url],
            &[
                ("AWS_REGION", "us-west-2"),
                ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("LAYER_BUCKET", "layers"),
            ],
        );
        failed.fails_with_one_line("push: AccessDeniedException: not you");
        let request = server.request();
        assert!(request.starts_with(&format!("POST {path}/ HTTP/1.1")), "{request}");
        assert!(request.contains(&format!("/us-west-2/{service}/aws4_request")), "{request}");
    }
}

#[test]
fn an_invalid_command_line_is_rejected() {
    let layout = Layout::of_images(&[None]);
    let layout = layout.path();
    for (arguments, says) in [
        (vec![layout], "no REPOSITORY to push to"),
        (vec!["--endpoint", "http://127.0.0.1:1"], "--endpoint needs a LAYOUT to push"),
        (vec![layout, "app/web", "more"], "unexpected argument"),
        (vec![layout, "app/web", "--endpoint"], "missing argument"),
        (vec![layout, "App"], "the REPOSITORY must satisfy regular expression"),
        (vec![layout, "app/web:"], "the TAG must have length greater than or equal to 1"),
        (vec![layout, "app/web:a/b"], "the TAG must satisfy regular expression"),
    ] {
        push(&arguments, &[]).fails_with_one_line(says);
    }
}

/// An image of two blobs that are in the layer bucket.
struct Image {
    repository: &'static str,
    text: String,
}

impl Image {
    /// Creates `repository` and puts the blobs of an image into it.
    async fn put(serve: &Serve, repository: &'static str) -> Self {
        let created = serve.ecr().create_repository().repository_name(repository).send().await;
        assert_eq!(created.unwrap().repository().unwrap().registry_id(), Some("012345678910"));
        let mut blobs = Vec::new();
        for (media_type, content) in [
            ("application/vnd.oci.image.config.v1+json", "{}"),
            ("application/vnd.oci.image.layer.v1.tar", "a layer"),
        ] {
            let digest = layout::digest(content.as_bytes());
            let key = format!("012345678910/{repository}/{}", digest.replace(':', "/"));
            let body = ByteStream::from_static(content.as_bytes());
            let put = serve.s3().put_object().bucket(serve.variable("LAYER_BUCKET")).key(key);
            put.body(body).send().await.unwrap();
            blobs.push(json!({ "mediaType": media_type, "digest": digest, "size": content.len() }));
        }
        let text = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blobs[0],
            "layers": [blobs[1]],
        });
        Self { repository, text: text.to_string() }
    }

    /// Pushes the image. Returns the error's code.
    async fn push(&self, serve: &Serve, tag: &str) -> Result<(), String> {
        self.push_at(serve, "", tag).await
    }

    /// The same at a resource below the endpoint.
    async fn push_at(&self, serve: &Serve, resource: &str, tag: &str) -> Result<(), String> {
        let put =
            serve.ecr_at(resource).put_image().repository_name(self.repository).image_tag(tag);
        match put.image_manifest(&self.text).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.code().unwrap_or("no code").to_owned()),
        }
    }
}
