//! Transactions that overlap on an item, which no local engine rejects.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::lock;

/// The transactions that no later one may overlap with.
#[derive(Clone, Debug)]
pub(super) struct Conflicts {
    service_time: Range<Duration>,
    under_way: Arc<Mutex<Vec<Transaction>>>,
    /// The tokens of transactions that were applied.
    applied: Arc<Mutex<HashSet<String>>>,
}

/// A transaction under way. It ends when this is dropped, which is with its response.
#[derive(Debug)]
pub(super) struct UnderWay {
    id: Uuid,
    transactions: Arc<Mutex<Vec<Transaction>>>,
    token: Option<String>,
    applied: Arc<Mutex<HashSet<String>>>,
}

#[derive(Debug)]
struct Transaction {
    id: Uuid,
    writes: bool,
    items: Vec<Item>,
}

/// An item by table and key. A transaction has only distinct ones.
#[derive(Debug, PartialEq)]
struct Item {
    table: String,
    key: [String; 2],
}

impl Conflicts {
    pub(super) fn new(service_time: Range<Duration>) -> Self {
        Conflicts { service_time, under_way: Arc::default(), applied: Arc::default() }
    }

    /// Begins a transaction. Returns `None` for any other operation, and for a repetition of an
    /// applied transaction, which `DynamoDB` recognizes by its token.
    ///
    /// # Errors
    /// The reason of each action in order, if an item is in another transaction and one of the two
    /// writes.
    pub(super) fn begin(
        &self,
        operation: &str,
        body: &[u8],
    ) -> Result<Option<(UnderWay, Duration)>, Vec<&'static str>> {
        let writes = match operation {
            "TransactWriteItems" => true,
            "TransactGetItems" => false,
            _ => return Ok(None),
        };
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let token = request.get("ClientRequestToken").and_then(Value::as_str).map(str::to_owned);
        if token.as_ref().is_some_and(|token| lock(&self.applied).contains(token)) {
            return Ok(None);
        }
        let items = items(&request);
        let mut under_way = lock(&self.under_way);
        let clashes = |item: &Item| {
            under_way.iter().any(|other| (writes || other.writes) && other.items.contains(item))
        };
        let reason = |item| if clashes(item) { "TransactionConflict" } else { "None" };
        let reasons: Vec<_> = items.iter().map(reason).collect();
        if reasons.contains(&"TransactionConflict") {
            return Err(reasons);
        }
        let id = Uuid::new_v4();
        under_way.push(Transaction { id, writes, items });
        let transactions = Arc::clone(&self.under_way);
        let transaction = UnderWay { id, transactions, token, applied: Arc::clone(&self.applied) };
        Ok(Some((transaction, self.draw())))
    }

    fn draw(&self) -> Duration {
        let span = self.service_time.end.saturating_sub(self.service_time.start);
        let (random, _) = Uuid::new_v4().as_u64_pair();
        // A v4 UUID's first 48 bits are random.
        let fraction =
            f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX);
        self.service_time.start + span.mul_f64(fraction)
    }
}

impl UnderWay {
    /// Notes that it was applied.
    pub(super) fn applied(&self) {
        lock(&self.applied).extend(self.token.clone());
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        lock(&self.transactions).retain(|transaction| transaction.id != self.id);
    }
}

/// The item of each action, in order.
fn items(request: &Value) -> Vec<Item> {
    let actions = request.get("TransactItems").and_then(Value::as_array);
    let actions = actions.into_iter().flatten().filter_map(Value::as_object);
    // Each action is an object of one member: {"Put": {…}}, {"Update": {…}}, {"Get": {…}} …
    actions.filter_map(|action| action.values().next()).map(item).collect()
}

fn item(action: &Value) -> Item {
    let key = action.get("Key").or(action.get("Item"));
    let attribute = |name| key.and_then(|key| key.get(name)).unwrap_or(&Value::Null).to_string();
    let table = action.get("TableName").and_then(Value::as_str).unwrap_or_default();
    Item { table: table.to_owned(), key: [attribute("PK"), attribute("SK")] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(action: &str, keys: &[&str]) -> Vec<u8> {
        let key = |key: &&str| {
            let member = if action == "Put" { "Item" } else { "Key" };
            serde_json::json!({action: {"TableName": "t", member: {"PK": {"S": key}, "SK": {"S": "s"}}}})
        };
        let actions: Vec<_> = keys.iter().map(key).collect();
        serde_json::to_vec(&serde_json::json!({"TransactItems": actions})).unwrap()
    }

    #[test]
    fn a_repetition_is_recognized_by_its_token() {
        let conflicts = Conflicts::new(Duration::ZERO..Duration::from_millis(1));
        let mut request: Value = serde_json::from_slice(&body("Put", &["a"])).unwrap();
        request["ClientRequestToken"] = "token".into();
        let request = serde_json::to_vec(&request).unwrap();
        let (first, _) = conflicts.begin("TransactWriteItems", &request).unwrap().unwrap();
        assert!(conflicts.begin("TransactWriteItems", &request).is_err());
        first.applied();
        drop(first);
        let _other = conflicts.begin("TransactGetItems", &body("Get", &["a"])).unwrap();
        assert!(conflicts.begin("TransactWriteItems", &request).unwrap().is_none());
        assert!(conflicts.begin("TransactWriteItems", &body("Put", &["a"])).is_err());
    }

    #[test]
    fn the_later_of_two_overlapping_transactions_is_rejected() {
        let conflicts = Conflicts::new(Duration::ZERO..Duration::from_millis(1));
        let first = conflicts.begin("TransactWriteItems", &body("Put", &["a", "b"])).unwrap();
        let rejected = conflicts.begin("TransactWriteItems", &body("Update", &["c", "b"]));
        assert_eq!(rejected.unwrap_err(), ["None", "TransactionConflict"]);
        let rejected = conflicts.begin("TransactGetItems", &body("Get", &["a"]));
        assert_eq!(rejected.unwrap_err(), ["TransactionConflict"]);
        assert!(conflicts.begin("BatchGetItem", &body("Get", &["a"])).unwrap().is_none());
        drop(first);

        let _read = conflicts.begin("TransactGetItems", &body("Get", &["a"])).unwrap();
        assert!(conflicts.begin("TransactGetItems", &body("Get", &["a"])).is_ok());
        assert!(conflicts.begin("TransactWriteItems", &body("Delete", &["a"])).is_err());
    }
}
