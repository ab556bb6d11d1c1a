//! `clients/tests/cases.json` and the manifests that it names.
//!
//! A case is a call with its expected response or error, after the calls that prepare its state.
//! Each case has its own repository.

use std::collections::BTreeMap;
use std::path::Path;

use ecr_registry::names::Digest;
use serde::Deserialize;
use serde_json::Value;

const FOUR_MEBIBYTES: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The endpoint, if it is not `plain`.
    at: Option<String>,
    /// Whether the case is also run at API Gateway's endpoint.
    #[serde(default)]
    everywhere: bool,
    /// Calls before the disabled key is disabled.
    #[serde(default)]
    pub(crate) prepared: Vec<Step>,
    /// Calls directly before the case's own call.
    #[serde(default)]
    pub(crate) given: Vec<Step>,
    #[serde(flatten)]
    pub(crate) step: Step,
    pub(crate) answer: Option<Value>,
    pub(crate) error: Option<ExpectedError>,
}

#[derive(Deserialize)]
pub(crate) struct Step {
    pub(crate) call: String,
    pub(crate) input: Value,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExpectedError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) status: Option<u16>,
    pub(crate) kms_error: Option<String>,
    /// Whether ECR's model lacks this exception.
    #[serde(default)]
    pub(crate) unmodelled: bool,
}

pub(crate) struct Table {
    cases: Vec<Case>,
    manifests: BTreeMap<String, String>,
    /// The values of the other placeholders in braces.
    pub(crate) placeholders: BTreeMap<&'static str, String>,
}

impl Table {
    pub(crate) fn read() -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/tests");
        let cases = std::fs::read_to_string(directory.join("cases.json")).unwrap();
        let mut manifests = BTreeMap::new();
        for entry in directory.join("manifests").read_dir().unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap().replace("{crlf}", "\r\n");
            let room = FOUR_MEBIBYTES.saturating_sub(text.len() - "{pad}".len());
            let text = if text.contains("{pad}") {
                text.replace("{pad}", &"x".repeat(room))
            } else {
                text
            };
            manifests.insert(path.file_stem().unwrap().to_str().unwrap().to_owned(), text);
        }
        let mut table = Self {
            cases: serde_json::from_str(&cases).unwrap(),
            manifests: BTreeMap::new(),
            placeholders: BTreeMap::new(),
        };
        table.manifests = manifests.clone();
        for (name, text) in manifests {
            let text = table.with_digests(&text);
            table.manifests.insert(name, text);
        }
        table
    }

    /// The cases of `endpoint`.
    pub(crate) fn of(&self, endpoint: &str) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(move |case| {
            let at = case.at.as_deref().unwrap_or("plain");
            at == endpoint || (endpoint == "execute-api" && case.everywhere)
        })
    }

    pub(crate) fn manifest(&self, name: &str) -> &str {
        &self.manifests[name]
    }

    /// `value` with its placeholders replaced.
    pub(crate) fn filled(&self, value: &Value, repository: &str) -> Value {
        match value {
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| (name.clone(), self.filled(member, repository)))
                .collect(),
            Value::Array(items) => items.iter().map(|item| self.filled(item, repository)).collect(),
            Value::String(text) => match text.strip_prefix('@') {
                Some(manifest) => self.manifest(manifest).into(),
                None => self.text(text, repository).into(),
            },
            other => other.clone(),
        }
    }

    pub(crate) fn text(&self, text: &str, repository: &str) -> String {
        let mut text = self.with_digests(text).replace("{repo}", repository);
        for (name, value) in &self.placeholders {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }

    fn with_digests(&self, text: &str) -> String {
        let mut parts = text.split("{digest:");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap();
            whole += Digest::of(self.manifests[name].as_bytes()).as_str();
            whole += rest;
        }
        whole
    }
}

/// The repository of a case.
pub(crate) fn repository(endpoint: &str, case: &Case) -> String {
    let name = case.name.to_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    format!("rust/{endpoint}/{}", words.collect::<Vec<_>>().join("-"))
}

/// The first part of `expected` that `actual` lacks.
pub(crate) fn missing(actual: &Value, expected: &Value) -> Option<String> {
    match expected {
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            missing(&actual[name], member).map(|fault| format!("{name}.{fault}"))
        }),
        _ => (actual != expected).then(|| {
            let start = |value: &Value| value.to_string().chars().take(300).collect::<String>();
            format!(" is {}, not {}", start(actual), start(expected))
        }),
    }
}
