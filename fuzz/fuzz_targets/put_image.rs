//! A PutImage request with any body: a success repeats the manifest and has its digest.

#![no_main]

use ecr_registry::names::Digest;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &str| {
    let Some((status, response)) = fuzz::respond(&fuzz::event("PutImage", body)) else { return };
    // A member that the service does not read may hold an escaped lone surrogate, which this reader
    // rejects.
    if status == 200
        && let Ok(request) = serde_json::from_str::<Value>(body)
    {
        let manifest = request["imageManifest"].as_str().unwrap();
        let image = &response["image"];
        assert_eq!(image["imageManifest"], manifest);
        assert_eq!(image["imageId"]["imageDigest"], Digest::of(manifest.as_bytes()).as_str());
        assert_eq!(
            image["imageId"].get("imageTag"),
            request.get("imageTag").filter(|tag| !tag.is_null())
        );
        assert_eq!(image["repositoryName"], request["repositoryName"]);
    }
});
