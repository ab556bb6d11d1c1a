//! Key policies, of which only Deny statements count.

use serde_json::Value;

/// Whether a statement of the policy denies `action`, which comes without its `kms:`.
///
/// Principals, resources and conditions are ignored, because tests write a Deny to have the action
/// rejected.
pub(super) fn denies(policy: &str, action: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return false };
    one_or_many(policy.get("Statement")).iter().any(|statement| {
        statement.get("Effect").and_then(Value::as_str) == Some("Deny")
            && one_or_many(statement.get("Action"))
                .iter()
                .filter_map(Value::as_str)
                .any(|pattern| matches(pattern, action))
    })
}

/// `kms:<action>`, `kms:<beginning>*`, `*`.
fn matches(pattern: &str, action: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let Some(pattern) = pattern.strip_prefix("kms:") else { return false };
    pattern == action
        || pattern.strip_suffix('*').is_some_and(|beginning| action.starts_with(beginning))
}

/// IAM writes a list of one element as the element itself.
fn one_or_many(value: Option<&Value>) -> &[Value] {
    match value {
        None => &[],
        Some(Value::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
    }
}

#[cfg(test)]
mod tests {
    use super::denies;

    #[test]
    fn a_deny_of_the_action_or_of_a_wildcard_counts() {
        let deny = |action: &str| {
            format!(r#"{{"Statement":[{{"Effect":"Deny","Principal":"*","Action":{action}}}]}}"#)
        };
        assert!(denies(&deny(r#""kms:*""#), "Decrypt"));
        assert!(denies(&deny(r#"["kms:Encrypt","kms:Decrypt"]"#), "Decrypt"));
        assert!(denies(&deny(r#""kms:GenerateDataKey*""#), "GenerateDataKey"));
        assert!(!denies(&deny(r#""kms:Encrypt""#), "Decrypt"));
        assert!(!denies(&deny(r#""k""#), "Decrypt"));
        assert!(!denies(r#"{"Statement":{"Effect":"Allow","Action":"kms:*"}}"#, "Decrypt"));
        assert!(!denies("nonsense", "Decrypt"));
    }
}
