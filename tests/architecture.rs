//! Which file may import which: the rules of ARCHITECTURE.md, checked against the crate's sources.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

/// The sources below `src` by their module paths, such as `stores::table::read`, without the tests
/// inside. The path of the crate root is empty.
struct Sources(BTreeMap<String, String>);

impl Sources {
    fn read() -> Self {
        let mut sources = Self(BTreeMap::new());
        sources.add(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "");
        assert!(sources.0.len() > 30, "{:?}", sources.0.keys());
        sources
    }

    fn add(&mut self, folder: &Path, module: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let inner = if module.is_empty() { name.clone() } else { format!("{module}::{name}") };
            if path.is_dir() {
                // The binaries are separate crates.
                if inner != "bin" {
                    self.add(&path, &inner);
                }
            } else if inner != "main" {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                let inner = if inner == "lib" { String::new() } else { inner };
                self.0.insert(inner, code.collect::<Vec<_>>().join("\n"));
            }
        }
    }

    /// The modules that `module` names by the paths in its code.
    fn imports(&self, module: &str) -> BTreeSet<String> {
        let code = &self.0[module];
        let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
        let children = Regex::new(r"(?m)^\s*(?:pub(?:\([^)]*\))? )?mod (\w+);").unwrap();
        let children: Vec<&str> =
            children.captures_iter(code).map(|found| found.get(1).unwrap().as_str()).collect();
        let mut named = BTreeSet::new();
        let paths = Regex::new(r"\b(crate|super|self|\w+)((?:::\w+)+)").unwrap();
        for found in paths.captures_iter(code) {
            let rest = &found[2][2..];
            let path = match &found[1] {
                "crate" => rest.to_owned(),
                "super" if parent.is_empty() => rest.to_owned(),
                "super" => format!("{parent}::{rest}"),
                "self" => format!("{module}::{rest}"),
                child if children.contains(&child) => format!("{module}::{child}::{rest}"),
                _ => continue,
            };
            named.extend(self.module_of(&path).filter(|named| named != module));
        }
        named
    }

    /// The longest prefix of an item's path that is a module's file.
    fn module_of(&self, path: &str) -> Option<String> {
        let mut path = path;
        loop {
            if self.0.contains_key(path) {
                return Some(path.to_owned());
            }
            path = path.rsplit_once("::")?.0;
        }
    }
}

#[test]
fn no_file_imports_the_crate_root() {
    let sources = Sources::read();
    let paths = Regex::new(r"\bcrate::(\w+|\{)").unwrap();
    for (module, code) in &sources.0 {
        for path in paths.captures_iter(code) {
            let is_module =
                ["api", "ecr", "stores"].contains(&&path[1]) || sources.0.contains_key(&path[1]);
            assert!(is_module, "src/{module} imports {} of the crate root", &path[0]);
        }
        let of_root = !module.is_empty() && !module.contains("::") && code.contains("super::");
        assert!(!of_root, "src/{module} imports the crate root by super");
    }
}

#[test]
fn imports_form_no_cycle() {
    fn visit(sources: &Sources, module: &str, way: &mut Vec<String>, done: &mut BTreeSet<String>) {
        if done.contains(module) {
            return;
        }
        assert!(!way.iter().any(|seen| seen == module), "a circle: {way:?} and again {module}");
        way.push(module.to_owned());
        for import in sources.imports(module) {
            visit(sources, &import, way, done);
        }
        way.pop();
        done.insert(module.to_owned());
    }
    let sources = Sources::read();
    let mut done = BTreeSet::new();
    for module in sources.0.keys() {
        visit(&sources, module, &mut Vec::new(), &mut done);
    }
    // Self-check: `imports` finds these known imports.
    let imports = sources.imports("actions::put_image");
    for import in ["actions::put_image::rules", "api::call", "app", "stores::table::transaction"] {
        assert!(imports.contains(import), "{imports:?}");
    }
    assert!(sources.imports("stores::table::read").contains("stores::table::items"));
}

#[test]
fn stores_name_no_action() {
    let sources = Sources::read();
    for module in sources.0.keys().filter(|module| module.starts_with("stores")) {
        for import in sources.imports(module) {
            let is_above = ["actions", "app", "gateway"].iter().any(|it| import.starts_with(it));
            assert!(!is_above, "src/{module} imports {import}");
        }
    }
}

/// The rules use no SDK, no clock and no environment.
#[test]
fn rules_are_pure() {
    let sources = Sources::read();
    let is_pure = |module: &&String| {
        let name = module.rsplit("::").next().unwrap();
        module.starts_with("ecr::") || ["input", "push", "rules"].contains(&name)
    };
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
    ];
    let pure: Vec<&String> = sources.0.keys().filter(is_pure).collect();
    assert!(pure.len() >= 10, "{pure:?}");
    for module in pure {
        for word in foreign {
            assert!(!sources.0[module].contains(word), "src/{module} knows {word}");
        }
        // `rules` takes the type of `snapshot`, because it decides about what `snapshot` has read.
        for import in sources.imports(module) {
            let is_impure = import.starts_with("stores") || import == "app" || import == "clock";
            assert!(!is_impure, "src/{module} imports {import}");
        }
    }
}

#[test]
fn each_external_interface_is_used_in_one_place() {
    let sources = Sources::read();
    for (word, owners) in [
        ("aws_lambda_events", ["gateway"].as_slice()),
        ("lambda_runtime", &["gateway"]),
        ("HeaderMap", &["gateway"]),
        ("aws_sdk_dynamodb", &["stores::table", "stores::sdk", "actions::"]),
        ("aws_sdk_dynamodb::Client", &["stores::table", "stores::sdk"]),
        ("aws_sdk_s3", &["stores::layers", "stores::manifests", "stores::sdk"]),
        ("aws_sdk_kms", &["stores::kms", "stores::sdk"]),
        ("RetryConfig", &["stores::sdk"]),
        ("TimeoutConfig", &["stores::sdk"]),
    ] {
        for (module, code) in &sources.0 {
            let owns = owners.iter().any(|owner| module.starts_with(owner));
            assert!(owns || !code.contains(word), "src/{module} knows {word}");
        }
    }
}

#[test]
fn no_module_is_a_file_outside_its_folder() {
    fn visit(folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                visit(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let attribute = concat!("#[pa", "th");
                assert!(!text.contains(attribute), "{}", path.display());
            }
        }
    }
    visit(Path::new(env!("CARGO_MANIFEST_DIR")));
}
