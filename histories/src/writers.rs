//! The table's other writers, by the rules of docs/PROTOCOL.md, section 7: settings, deletions of
//! images and tags. Reads everything, too.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Get, TransactGetItem, TransactWriteItem, Update,
};
use uuid::Uuid;

pub(crate) type Item = HashMap<String, AttributeValue>;
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Writes to one repository of a table.
#[derive(Clone, Debug)]
pub(crate) struct Writers {
    pub(crate) dynamodb: Client,
    pub(crate) table: String,
    /// The PK of the repository's item.
    pub(crate) repository: String,
}

impl Writers {
    /// Changes the settings in one write, with a new `rev`.
    pub(crate) async fn set_mutability(&self, immutable: bool) -> Result<(), Fault> {
        let mode = if immutable { "IMMUTABLE" } else { "MUTABLE" };
        self.dynamodb
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(&self.repository, "#META")))
            .update_expression("SET mutability = :mode, rev = :rev")
            .expression_attribute_values(":mode", text(mode))
            .expression_attribute_values(":rev", text(&Uuid::new_v4().to_string()))
            .send()
            .await?;
        Ok(())
    }

    /// Deletes an image with its tags. Returns `false` if the image does not exist, or if an index
    /// refers to it.
    pub(crate) async fn delete_image(
        &self,
        digest: &str,
        children: &[String],
    ) -> Result<bool, Fault> {
        loop {
            let repo_id = self.repo_id().await?;
            let within = format!("R#{repo_id}");
            let image = self.item(key(&within, &format!("IMAGE#{digest}"))).await?;
            let Some(image) = image else { return Ok(false) };
            if number(&image, "refCount") != 0 {
                return Ok(false);
            }
            let tags: Vec<Item> =
                self.tags(&within).await?.into_iter().filter(|tag| names(tag, digest)).collect();

            let meta = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(&self.repository, "#META")))
                .update_expression("SET imageCount = imageCount - :one, delEpoch = delEpoch + :one")
                .condition_expression("repoId = :repoId AND attribute_not_exists(bigIndexes)")
                .expression_attribute_values(":one", AttributeValue::N("1".into()))
                .expression_attribute_values(":repoId", text(&repo_id))
                .build()?;
            let header = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(key(&within, &format!("IMAGE#{digest}"))))
                .condition_expression("tagCount = :found AND refCount = :zero")
                .expression_attribute_values(":found", AttributeValue::N(tags.len().to_string()))
                .expression_attribute_values(":zero", AttributeValue::N("0".into()))
                .build()?;
            let body = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(key(&within, &format!("MANIFEST#{digest}"))))
                .build()?;
            let mut actions = vec![
                TransactWriteItem::builder().update(meta).build(),
                TransactWriteItem::builder().delete(header).build(),
                TransactWriteItem::builder().delete(body).build(),
            ];
            for tag in tags {
                let sk = string(&tag, "SK");
                actions.push(self.delete_tag_action(&within, &sk, digest)?);
            }
            for child in children {
                let update = Update::builder()
                    .table_name(&self.table)
                    .set_key(Some(key(&within, &format!("IMAGE#{child}"))))
                    .update_expression("SET refCount = refCount - :one")
                    .expression_attribute_values(":one", AttributeValue::N("1".into()))
                    .build()?;
                actions.push(TransactWriteItem::builder().update(update).build());
            }
            if self.commit(actions).await? {
                return Ok(true);
            }
        }
    }

    /// Deletes a tag. Returns `false` if it does not exist.
    pub(crate) async fn delete_tag(&self, tag: &str) -> Result<bool, Fault> {
        loop {
            let within = format!("R#{}", self.repo_id().await?);
            let sk = format!("TAG#{tag}");
            let Some(item) = self.item(key(&within, &sk)).await? else { return Ok(false) };
            let digest = string(&item, "digest");
            let image = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(&within, &format!("IMAGE#{digest}"))))
                .update_expression("SET tagCount = tagCount - :one")
                .condition_expression("attribute_exists(PK)")
                .expression_attribute_values(":one", AttributeValue::N("1".into()))
                .build()?;
            let actions = vec![
                self.delete_tag_action(&within, &sk, &digest)?,
                TransactWriteItem::builder().update(image).build(),
            ];
            if self.commit(actions).await? {
                return Ok(true);
            }
        }
    }

    /// The repository's own item and the items with these sort keys, at one instant.
    pub(crate) async fn read(&self, sort_keys: Vec<String>) -> Result<Vec<Item>, Fault> {
        let within = format!("R#{}", self.repo_id().await?);
        let keys = sort_keys.iter().map(|sk| key(&within, sk));
        let mut gets = Vec::new();
        for key in keys.chain([key(&self.repository, "#META")]) {
            let get = Get::builder().table_name(&self.table).set_key(Some(key)).build()?;
            gets.push(TransactGetItem::builder().get(get).build());
        }
        let request = self.dynamodb.transact_get_items().set_transact_items(Some(gets));
        let found = request.send().await?.responses.unwrap_or_default();
        Ok(found.into_iter().filter_map(|found| found.item).collect())
    }

    /// All items of the repository, its own first.
    pub(crate) async fn items(&self) -> Result<Vec<Item>, Fault> {
        let meta = self.item(key(&self.repository, "#META")).await?.unwrap_or_default();
        let within = format!("R#{}", string(&meta, "repoId"));
        let mut items = vec![meta];
        items.extend(self.query(&within, "").await?);
        Ok(items)
    }

    fn delete_tag_action(
        &self,
        within: &str,
        sk: &str,
        digest: &str,
    ) -> Result<TransactWriteItem, Fault> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key(within, sk)))
            .condition_expression("digest = :digest")
            .expression_attribute_values(":digest", text(digest))
            .build()?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Whether the transaction was applied; `false` if a condition failed or another transaction
    /// held an item.
    async fn commit(&self, actions: Vec<TransactWriteItem>) -> Result<bool, Fault> {
        let request = self.dynamodb.transact_write_items().set_transact_items(Some(actions));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(_)) => Ok(false),
                _ => Err(error.into()),
            },
        }
    }

    async fn repo_id(&self) -> Result<String, Fault> {
        let meta = self.item(key(&self.repository, "#META")).await?;
        Ok(string(&meta.unwrap_or_default(), "repoId"))
    }

    async fn tags(&self, within: &str) -> Result<Vec<Item>, Fault> {
        self.query(within, "TAG#").await
    }

    async fn query(&self, within: &str, prefix: &str) -> Result<Vec<Item>, Fault> {
        let mut query = self
            .dynamodb
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .expression_attribute_values(":pk", text(within));
        query = if prefix.is_empty() {
            query.key_condition_expression("PK = :pk")
        } else {
            query
                .key_condition_expression("PK = :pk AND begins_with(SK, :prefix)")
                .expression_attribute_values(":prefix", text(prefix))
        };
        Ok(query.send().await?.items.unwrap_or_default())
    }

    async fn item(&self, key: Item) -> Result<Option<Item>, Fault> {
        let get = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
        Ok(get.set_key(Some(key)).send().await?.item)
    }
}

fn key(pk: &str, sk: &str) -> Item {
    [("PK".to_owned(), text(pk)), ("SK".to_owned(), text(sk))].into()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn names(tag: &Item, digest: &str) -> bool {
    string(tag, "digest") == digest
}

/// A string attribute; empty if it is missing.
pub(crate) fn string(item: &Item, attribute: &str) -> String {
    item.get(attribute).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

/// A number attribute; 0 if it is missing.
pub(crate) fn number(item: &Item, attribute: &str) -> usize {
    let number = item.get(attribute).and_then(|value| value.as_n().ok());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// The items whose sort key begins with `prefix`, each with the rest of its sort key.
pub(crate) fn named<'a>(items: &'a [Item], prefix: &str) -> Vec<(String, &'a Item)> {
    let name = |item| string(item, "SK").strip_prefix(prefix).map(str::to_owned);
    items.iter().filter_map(|item| Some((name(item)?, item))).collect()
}
