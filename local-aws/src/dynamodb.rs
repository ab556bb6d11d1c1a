//! `DynamoDB`: dynoxide's engine and its HTTP server, with the table that the function needs.

use std::io;
use std::path::Path;

use dynoxide::{Database, DynoxideError};
use serde_json::json;
use tokio::net::TcpListener;

/// Opens the database in `directory`, or in memory, and creates `table` if it does not exist.
pub(crate) fn open(directory: Option<&Path>, table: &str) -> io::Result<Database> {
    let database = match directory {
        None => Database::memory(),
        Some(directory) => {
            let path = directory.join("dynamodb.sqlite");
            Database::new(path.to_str().ok_or(io::ErrorKind::InvalidFilename)?)
        }
    };
    let database = database.map_err(io::Error::other)?;
    let request = serde_json::from_value(json!({
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "PK", "AttributeType": "S"},
            {"AttributeName": "SK", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "PK", "KeyType": "HASH"},
            {"AttributeName": "SK", "KeyType": "RANGE"},
        ],
    }))?;
    match database.create_table(request) {
        Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => Ok(database),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Serves the database until `shutdown` completes.
pub(crate) async fn serve(
    listener: TcpListener,
    database: Database,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    dynoxide::server::serve_with_shutdown(listener, database, shutdown)
        .await
        .map_err(io::Error::other)
}
