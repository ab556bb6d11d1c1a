//! Which manifests are stored and which are rejected.

use serde_json::{Value, json};

use crate::harness::*;

const CODE: &str = "InvalidParameterException";

async fn is_invalid(service: &Service, manifest: &str) {
    let message = invalid("ImageManifest", "Invalid JSON syntax");
    service.rejects(request("app", manifest, Some("v1")), CODE, &message).await;
}

/// An image's manifest with the value at a path replaced.
fn changed(path: &str, value: Value) -> String {
    changed_in(&image("a"), path, value)
}

fn changed_in(manifest: &str, path: &str, value: Value) -> String {
    let mut manifest: Value = serde_json::from_str(manifest).unwrap();
    if let Some(there) = manifest.pointer_mut(path) {
        *there = value;
    } else {
        let (parent, member) = path.rsplit_once('/').unwrap();
        manifest.pointer_mut(parent).unwrap()[member] = value;
    }
    manifest.to_string()
}

fn without(manifest: &str, path: &str) -> String {
    let mut manifest: Value = serde_json::from_str(manifest).unwrap();
    let (parent, member) = path.rsplit_once('/').unwrap();
    manifest.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member);
    manifest.to_string()
}

#[tokio::test]
async fn invalid_manifests_are_rejected() {
    let service = Service::start().await;
    let good = image("a");
    for text in [
        "not json".into(),
        "[]".into(),
        "7".into(),
        "\"text\"".into(),
        "{}".into(),
        format!("\u{feff}{good}"),
        format!("{good}x"),
        format!("{good}{good}"),
        good[..good.len() - 1].to_owned(),
        format!("[{good}]"),
    ] {
        is_invalid(&service, &text).await;
    }
}

#[tokio::test]
async fn bytes_are_stored_unchanged() {
    let service = Service::start().await;
    let compact = image("a");
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&compact).unwrap());
    let pretty = pretty.unwrap();
    let empty = json!({
        "mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256("{}"), "size": 2,
        "data": "e30=",
    });
    let artifact = changed_in(&changed("/config", empty.clone()), "/layers", json!([empty]));
    for (n, manifest) in [
        pretty.replace('\n', "\r\n"),
        format!("{pretty}\n"),
        pretty,
        format!(" \t{compact}\r\n"),
        compact.replacen('{', r#"{"annotations":{"u":"a\u003cb\u003e\u0026c<b>&c"},"#, 1),
        artifact,
    ]
    .into_iter()
    .enumerate()
    {
        let response = service.push("app", &manifest, Some(&format!("v{n}"))).await;
        assert_eq!(response.digest(), sha256(&manifest));
        assert_eq!(response.json["image"]["imageManifest"], manifest.as_str());
        let stored = service.manifest_item("app", &response.digest()).await.unwrap();
        assert_eq!(stored["body"].as_b().unwrap().as_ref(), manifest.as_bytes());
    }
}

#[tokio::test]
async fn required_members_must_be_present_and_of_their_type() {
    let service = Service::start().await;
    for path in [
        "/schemaVersion",
        "/mediaType",
        "/config",
        "/layers",
        "/config/mediaType",
        "/config/digest",
        "/config/size",
        "/layers/0/mediaType",
        "/layers/0/digest",
        "/layers/0/size",
    ] {
        is_invalid(&service, &without(&image("a"), path)).await;
        if path != "/mediaType" {
            is_invalid(&service, &changed(path, Value::Null)).await;
        }
        for value in [json!([1]), json!({ "a": 1 }), json!(true), json!(-1), json!("text")] {
            // A descriptor's mediaType may be any string.
            if !(path.ends_with("0/mediaType") || path.ends_with("g/mediaType"))
                || !value.is_string()
            {
                is_invalid(&service, &changed(path, value)).await;
            }
        }
    }
    is_invalid(&service, &image("a").replacen("\"size\":5", "\"size\":5e0", 1)).await;
    for (path, value) in [
        ("/mediaType", json!(format!("{OCI_IMAGE}; charset=utf-8"))),
        ("/schemaVersion", json!(1)),
        ("/schemaVersion", json!(3)),
        ("/schemaVersion", json!(2.0)),
        ("/schemaVersion", json!("2")),
        ("/layers/0/size", json!(1.5)),
        ("/layers/0/size", json!(9_223_372_036_854_775_808_u64)),
        ("/layers/0/digest", json!(format!("sha256:{}", "A".repeat(64)))),
        ("/layers/0/digest", json!(format!("sha256:{}", "a".repeat(63)))),
        ("/layers/0/digest", json!(format!("sha512:{}", "a".repeat(64)))),
        ("/layers/0/digest", json!(format!("md5:{}", "a".repeat(32)))),
        ("/layers/0/digest", json!("a".repeat(64))),
        ("/layers/0/urls", json!("https://a")),
        ("/layers/0/urls", json!([1])),
        ("/layers/0", json!([OCI_IMAGE, sha256("a"), 1])),
        ("/config", json!([OCI_IMAGE, sha256("a"), 1])),
        ("/subject", json!({})),
        ("/subject", json!("text")),
        ("/subject", json!({ "mediaType": OCI_IMAGE, "digest": "sha256:1", "size": 1 })),
        ("/fsLayers", json!([{ "blobSum": "x" }])),
        ("/fsLayers", Value::Null),
    ] {
        is_invalid(&service, &changed(path, value)).await;
    }
}

#[tokio::test]
async fn descriptors_of_an_index_must_be_complete_too() {
    let service = Service::start().await;
    let child = image("child");
    service.push("app", &child, None).await;
    let index = index(&[&child]);
    for path in [
        "/schemaVersion",
        "/manifests",
        "/manifests/0/mediaType",
        "/manifests/0/digest",
        "/manifests/0/size",
    ] {
        is_invalid(&service, &without(&index, path)).await;
        for value in [Value::Null, json!([1]), json!(true), json!({ "a": 1 })] {
            is_invalid(&service, &changed_in(&index, path, value)).await;
        }
    }
    for (path, value) in [
        ("/manifests/0/size", json!(-1)),
        ("/manifests/0/size", json!(1.5)),
        ("/manifests/0/digest", json!("sha256:1")),
        ("/manifests/0/digest", json!(format!("sha256:{}", "A".repeat(64)))),
        ("/manifests/0", json!([OCI_IMAGE, sha256(&child), 1])),
    ] {
        is_invalid(&service, &changed_in(&index, path, value)).await;
    }
    assert_eq!(service.put(request("app", &index, Some("v1"))).await.status, 200);
}

#[tokio::test]
async fn other_members_may_have_any_value() {
    let service = Service::start().await;
    for (n, (path, value)) in [
        ("/annotations", json!(7)),
        ("/layers/0/annotations", json!([null])),
        ("/layers/0/platform", json!("text")),
        ("/layers/0/data", json!({})),
        ("/layers/0/urls", Value::Null),
        ("/layers/0/urls", json!([])),
        ("/layers/0/size", json!(9_223_372_036_854_775_807_u64)),
        ("/layers/0/size", json!(0)),
        ("/layers/0/mediaType", json!("")),
        ("/subject", Value::Null),
        ("/subject", json!({ "mediaType": "", "digest": sha256("nowhere"), "size": 0 })),
        ("/artifactType", json!([1.5e300])),
        ("/history", json!({ "a": { "b": [[[]]] } })),
        ("/signatures", json!("any")),
        ("/SchemaVersion", json!(7)),
    ]
    .into_iter()
    .enumerate()
    {
        let manifest = changed(path, value);
        let response = service.push("app", &manifest, Some(&format!("v{n}"))).await;
        assert_eq!(response.digest(), sha256(&manifest));
        let stored = service.manifest_item("app", &response.digest()).await.unwrap();
        assert_eq!(stored["body"].as_b().unwrap().as_ref(), manifest.as_bytes());
    }
    // These members are skipped: nesting deeper than any parser's stack, half a surrogate pair.
    let open = "[".repeat(100_000);
    let deep = image("a").replacen('{', &format!("{{\"x\":{open}{},", open.replace('[', "]")), 1);
    let surrogate = image("a").replacen('{', r#"{"x":"\ud800","#, 1);
    for manifest in [deep, surrogate] {
        let response = service.put(request("app", &manifest, Some("odd"))).await;
        assert_eq!(response.digest(), sha256(&manifest));
    }
}

#[tokio::test]
async fn a_required_member_named_twice_is_rejected() {
    let service = Service::start().await;
    let good = image("a");
    let value: Value = serde_json::from_str(&good).unwrap();
    for member in ["schemaVersion", "mediaType", "config", "layers"] {
        let twice = good.replacen('{', &format!("{{\"{member}\":{},", value[member]), 1);
        is_invalid(&service, &twice).await;
    }
    for member in ["fsLayers", "signatures", "subject"] {
        let twice = good.replacen('{', &format!("{{\"{member}\":null,\"{member}\":null,"), 1);
        is_invalid(&service, &twice).await;
    }
    for member in ["mediaType", "digest", "size"] {
        let layer = &value["layers"][0];
        let twice =
            layer.to_string().replacen('{', &format!("{{\"{member}\":{},", layer[member]), 1);
        is_invalid(&service, &good.replace(&layer.to_string(), &twice)).await;
    }
    let schema_1 = json!({ "schemaVersion": 1, "fsLayers": [{ "blobSum": sha256("a") }] });
    for member in ["config", "layers", "manifests", "fsLayers", "signatures"] {
        let mut manifest = schema_1.clone();
        if manifest[member].is_null() {
            manifest[member] = json!([]);
        }
        let once = manifest.to_string();
        let twice = once.replacen('{', &format!("{{\"{member}\":{},", manifest[member]), 1);
        is_invalid(&service, &twice).await;
    }
    // An escaped name equals the plain one.
    let escaped = good.replacen('{', r#"{"layer\u0073":[],"#, 1);
    is_invalid(&service, &escaped).await;
}

#[tokio::test]
async fn ambiguous_manifests_are_rejected() {
    let service = Service::start().await;
    for value in [json!([]), Value::Null] {
        is_invalid(&service, &changed("/manifests", value.clone())).await;
        for member in ["config", "layers"] {
            let mut index: Value = serde_json::from_str(&index(&[])).unwrap();
            index[member] = value.clone();
            is_invalid(&service, &index.to_string()).await;
        }
    }
    let mut as_index: Value = serde_json::from_str(&image("a")).unwrap();
    as_index["mediaType"] = json!(OCI_INDEX);
    is_invalid(&service, &as_index.to_string()).await;
}

#[tokio::test]
async fn the_manifests_type_and_the_requests_must_agree_and_be_known() {
    let service = Service::start().await;
    let untyped = without(&image("a"), "/mediaType");
    service.upload_layers_of("app", &untyped).await;
    let typed_by_request = |media_type: &str, manifest: &str| {
        let mut body = request("app", manifest, Some("v1"));
        body["imageManifestMediaType"] = json!(media_type);
        body
    };
    let message = invalid("ImageManifest", "Invalid JSON syntax");
    for (media_type, manifest) in [
        (OCI_INDEX, image("a")),
        ("application/vnd.docker.distribution.manifest.v2+json", image("a")),
        (OCI_INDEX, untyped.clone()),
        ("application/json", untyped.clone()),
        ("", untyped.clone()),
        (OCI_IMAGE, changed("/mediaType", json!("application/json"))),
        ("application/json", changed("/mediaType", json!("application/json"))),
        ("application/vnd.docker.distribution.manifest.v1+json", untyped.clone()),
    ] {
        service.rejects(typed_by_request(media_type, &manifest), CODE, &message).await;
    }
    let response = service.put(typed_by_request(OCI_IMAGE, &untyped)).await;
    assert_eq!(response.json["image"]["imageManifestMediaType"], OCI_IMAGE);
    let stored = service.image_item("app", &response.digest()).await.unwrap();
    assert_eq!(s(&stored, "mediaType"), OCI_IMAGE);
    assert_eq!(n(&stored, "manifestBytes"), untyped.len());
}

#[tokio::test]
async fn the_push_that_stores_an_image_decides_its_type_for_good() {
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let untyped = without(&image("a"), "/mediaType");
    let digest = sha256(&untyped);
    for (first, other) in [(OCI_IMAGE, docker), (docker, OCI_IMAGE)] {
        let service = Service::start().await;
        service.upload_layers_of("app", &untyped).await;
        let put = |tag: &str, media_type: &str| {
            let mut body = request("app", &untyped, Some(tag));
            body["imageManifestMediaType"] = json!(media_type);
            service.put(body)
        };
        put("v1", first).await;
        let image = service.image_item("app", &digest).await.unwrap();
        for tag in ["v2", "v3"] {
            let retagged = put(tag, other).await;
            assert_eq!(retagged.digest(), digest);
            assert_eq!(retagged.json["image"]["imageManifestMediaType"], first);
            assert_eq!(retagged.json["image"]["imageManifest"], untyped);
            assert_eq!(retagged.json["image"]["imageId"]["imageTag"], tag);
            assert_eq!(s(&service.tag_item("app", tag).await.unwrap(), "mediaType"), first);
        }
        let now = service.image_item("app", &digest).await.unwrap();
        assert_eq!(now["mediaType"], image["mediaType"]);
        assert_eq!(n(&now, "tagCount"), 3);
    }
}

#[tokio::test]
async fn the_artifact_type_is_kept_with_the_image_and_its_tags() {
    let service = Service::start().await;
    let config = "application/vnd.oci.image.config.v1+json";
    let artifact = "application/vnd.example.signature";
    let with_type = |artifact_type: Value| changed("/artifactType", artifact_type);
    for (tag, manifest, expected) in [
        ("config", image("a"), config),
        ("own", with_type(json!(artifact)), artifact),
        ("long", with_type(json!("x".repeat(500_000))), config),
        ("odd", with_type(json!({ "not": ["a", "string"] })), config),
        ("quoted", with_type(json!("a\"b")), config),
    ] {
        let digest = service.push("app", &manifest, Some(tag)).await.digest();
        let image = service.image_item("app", &digest).await.unwrap();
        assert_eq!(s(&image, "artifactMediaType"), expected, "{tag}");
        let tag = service.tag_item("app", tag).await.unwrap();
        assert_eq!(s(&tag, "artifactMediaType"), expected);
    }
    let index = index(&[&image("a")]);
    let digest = service.push("app", &index, Some("index")).await.digest();
    let image = service.image_item("app", &digest).await.unwrap();
    assert_eq!(image.get("artifactMediaType"), None, "an index has no other type than its own");
}

#[tokio::test]
async fn schema_1_is_known_by_its_version_and_its_signatures() {
    let service = Service::start().await;
    service.upload_layer("app", &sha256("layer")).await;
    let v1 = "application/vnd.docker.distribution.manifest.v1+json";
    let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let plain = json!({ "schemaVersion": 1, "fsLayers": [{ "blobSum": sha256("layer") }] });
    let with = |members: Value| {
        let mut manifest = plain.clone();
        manifest.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        manifest.to_string()
    };
    let rows = [
        (with(json!({})), None, v1),
        (with(json!({ "signatures": [] })), None, signed),
        (with(json!({ "signatures": 1 })), None, signed),
        (with(json!({ "signatures": null })), None, signed),
        (with(json!({ "mediaType": v1, "signatures": [1] })), None, v1),
        (with(json!({ "x": 1 })), Some(signed), signed),
        (with(json!({ "x": 2, "mediaType": signed })), Some(signed), signed),
        // Members of the newer formats are ignored.
        (with(json!({ "config": 7, "layers": null, "manifests": {} })), None, v1),
    ];
    for (n, (manifest, requested, expected)) in rows.into_iter().enumerate() {
        let mut body = request("app", &manifest, Some(&format!("v{n}")));
        body["imageManifestMediaType"] = json!(requested);
        let response = service.put(body).await;
        assert_eq!(response.status, 200, "{manifest}: {}", response.text);
        assert_eq!(response.json["image"]["imageManifestMediaType"], expected, "{manifest}");
    }
    for members in [
        json!({ "schemaVersion": 2 }),
        json!({ "fsLayers": {} }),
        json!({ "fsLayers": [{}] }),
        json!({ "fsLayers": [{ "blobSum": "sha256:1" }] }),
        json!({ "mediaType": OCI_IMAGE }),
        json!({ "subject": 1 }),
    ] {
        is_invalid(&service, &with(members)).await;
    }
    let missing = json!({ "schemaVersion": 1, "fsLayers": [{ "blobSum": sha256("none") }] });
    let message = layers_not_found(&[&sha256("none")]);
    let body = request("app", &missing.to_string(), Some("m"));
    service.rejects(body, "LayersNotFoundException", &message).await;
}

#[tokio::test]
async fn an_image_has_from_one_to_500_layers() {
    let service = Service::start().await;
    let of = |count: usize| {
        let layers: Vec<Value> = (0..count).map(|_| layer("same")).collect();
        image_of(&layers, "a")
    };
    let none = invalid("ImageManifest", "Image has to have at least 1 layer");
    service.rejects(request("app", &of(0), Some("v1")), CODE, &none).await;
    let empty = json!({ "schemaVersion": 1, "fsLayers": [] }).to_string();
    service.rejects(request("app", &empty, Some("v1")), CODE, &none).await;
    let limit = invalid("ImageManifest", "Limit on number of layers per image exceeded");
    service.rejects(request("app", &of(501), Some("v1")), CODE, &limit).await;
    let blobs = vec![json!({ "blobSum": sha256("same") }); 501];
    let schema_1 = json!({ "schemaVersion": 1, "fsLayers": blobs }).to_string();
    service.rejects(request("app", &schema_1, Some("v1")), CODE, &limit).await;
    // A broken descriptor is reported before the count.
    let broken = of(501).replacen("\"size\":5", "\"size\":-5", 1);
    is_invalid(&service, &broken).await;
    assert_eq!(service.push("app", &of(500), Some("v1")).await.status, 200);
}
