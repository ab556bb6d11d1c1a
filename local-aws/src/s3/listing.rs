//! One page of a listing, as `ListObjectsV2` describes it.

use super::index::Bucket;
use super::record::Record;

/// What to list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    /// List what comes after this key or common prefix.
    pub(super) after: &'a str,
    pub(super) limit: usize,
}

/// A page and the beginning of the next one.
#[derive(Debug, Default)]
pub(super) struct Page<'a> {
    pub(super) objects: Vec<(&'a str, &'a Record)>,
    pub(super) common_prefixes: Vec<String>,
    /// The last key or common prefix of this page, if another page follows.
    pub(super) next: Option<String>,
}

/// Lists keys in order. Keys with the delimiter after the prefix are rolled up into common prefixes,
/// each of which counts as one.
pub(super) fn page<'a>(bucket: &'a Bucket, query: Query<'_>) -> Page<'a> {
    let mut page = Page::default();
    let mut last = String::new();
    let keys = bucket
        .range(query.prefix.to_owned()..)
        .take_while(|(key, _)| key.starts_with(query.prefix));
    for (key, record) in keys {
        let rolled_up = common_prefix(key, query);
        let entry = rolled_up.unwrap_or(key);
        if entry <= query.after || entry == last {
            continue;
        }
        if page.objects.len() + page.common_prefixes.len() == query.limit {
            page.next = (query.limit > 0).then_some(last);
            return page;
        }
        entry.clone_into(&mut last);
        match rolled_up {
            Some(prefix) => page.common_prefixes.push(prefix.to_owned()),
            None => page.objects.push((key, record)),
        }
    }
    page
}

fn common_prefix<'k>(key: &'k str, query: Query<'_>) -> Option<&'k str> {
    let delimiter = query.delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let rest = key.get(query.prefix.len()..)?;
    let end = query.prefix.len() + rest.find(delimiter)? + delimiter.len();
    key.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::record::Headers;

    fn bucket(keys: &[&str]) -> Bucket {
        let headers = Headers::new(None, None, None, None).unwrap();
        let record = Record::new("blob".into(), 1, "etag".into(), headers);
        keys.iter().map(|key| ((*key).to_owned(), record.clone())).collect()
    }

    /// Every page of `limit` entries, one string per page.
    fn pages(bucket: &Bucket, prefix: &str, delimiter: Option<&str>, limit: usize) -> Vec<String> {
        let mut pages = Vec::new();
        let mut after = String::new();
        loop {
            let page = page(bucket, Query { prefix, delimiter, after: &after, limit });
            let keys = page.objects.iter().map(|(key, _)| (*key).to_owned());
            let mut entries: Vec<String> = keys.chain(page.common_prefixes).collect();
            entries.sort();
            pages.push(entries.join(" "));
            match page.next {
                Some(next) => after = next,
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_hold_each_entry_once() {
        let bucket = bucket(&["a/1", "a/2", "b", "c/x/1", "c/y", "d"]);
        assert_eq!(pages(&bucket, "", None, 4), ["a/1 a/2 b c/x/1", "c/y d"]);
        assert_eq!(pages(&bucket, "", Some("/"), 2), ["a/ b", "c/ d"]);
        assert_eq!(pages(&bucket, "", Some("/"), 1), ["a/", "b", "c/", "d"]);
        assert_eq!(pages(&bucket, "c/", Some("/"), 9), ["c/x/ c/y"]);
        assert_eq!(pages(&bucket, "e", None, 9), [""]);
        assert_eq!(pages(&bucket, "", None, 0), [""]);
    }
}
