//! A CreateRepository request with any body: a success repeats what was requested.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &str| {
    let Some((status, response)) = fuzz::respond(&fuzz::event("CreateRepository", body)) else {
        return;
    };
    // A member that the service does not read may hold an escaped lone surrogate, which this reader
    // rejects.
    if status == 200
        && let Ok(request) = serde_json::from_str::<Value>(body)
    {
        let repository = &response["repository"];
        assert_eq!(repository["repositoryName"], request["repositoryName"]);
        let asked = request["imageTagMutability"].as_str().unwrap_or("MUTABLE");
        assert_eq!(repository["imageTagMutability"], asked);
        let filters = request["imageTagMutabilityExclusionFilters"].as_array();
        assert_eq!(asked.ends_with("_WITH_EXCLUSION"), filters.is_some());
        assert!(filters.is_none_or(|filters| (1..=5).contains(&filters.len())));
        assert!(request["tags"].as_array().is_none_or(|tags| tags.len() <= 50));
    }
});
