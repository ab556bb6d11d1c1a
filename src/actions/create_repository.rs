//! CreateRepository: makes an empty repository in the caller's own registry.

pub(crate) mod input;
mod item;

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::call::Call;
use crate::api::error::Error;
use crate::app::App;
use crate::ecr::mutability::ExclusionFilter;
use crate::ecr::partition::Region;
use crate::ecr::repository::Encryption;
use crate::failure::Failure;
use input::Input;
use item::{NewRepository, create};

/// Creates a repository and returns the response's body.
///
/// # Errors
/// `SerializationException`, `InvalidParameterException`, `InvalidTagParameterException`,
/// `TooManyTagsException`, `AccessDeniedException`, `KmsException`,
/// `RepositoryAlreadyExistsException`, `ServerException`.
pub(crate) async fn create_repository(
    app: &App,
    call: &mut Call,
    body: String,
) -> Result<String, Error> {
    let input = Input::parse(&body, app.config.default_kms_key.as_deref())?;
    let repository = call.repository(input.registry_id, input.repository_name)?;
    // In another account's registry no policy can allow it, because the repository does not exist
    // yet.
    call.authorize(&repository, None)?;

    let encryption = match input.encryption.kms_key() {
        None => input.encryption,
        Some(key) => {
            let arn = app.kms.usable_key(&repository, key).await?;
            let encryption = Encryption::new(input.encryption.kind(), Some(arn));
            encryption.ok_or_else(|| Failure::new("naming a key by its ARN"))?
        }
    };
    call.log.encryption = Some(encryption.kind().as_str());

    let new = NewRepository {
        repository: &repository,
        repo_id: &Uuid::new_v4().to_string(),
        rev: &Uuid::new_v4().to_string(),
        tag_mutability: &input.tag_mutability,
        encryption: &encryption,
        scan_on_push: input.scan_on_push,
        tags: &input.tags,
        created_at: call.began_at,
    };
    if create(&app.table, &new, &mut call.log.usage).await? {
        Ok(response(&new, &call.region))
    } else {
        Err(Error::RepositoryAlreadyExists(repository))
    }
}

/// `{"repository":{…}}` as the ECR API reference shows it.
fn response(new: &NewRepository<'_>, region: &Region) -> String {
    let mut encryption = json!({ "encryptionType": new.encryption.kind().as_str() });
    insert(&mut encryption, "kmsKey", new.encryption.kms_key().map(Into::into));
    let mut repository = json!({
        "repositoryArn": new.repository.arn(region),
        "registryId": new.repository.registry.as_str(),
        "repositoryName": new.repository.name.as_str(),
        "repositoryUri": new.repository.uri(region),
        "createdAt": Duration::from_millis(new.created_at).as_secs_f64(),
        "imageTagMutability": new.tag_mutability.mode.as_str(),
        "imageScanningConfiguration": { "scanOnPush": new.scan_on_push },
        "encryptionConfiguration": encryption,
    });
    let filters = &new.tag_mutability.filters;
    let filter = |filter: &ExclusionFilter| json!({ "filterType": filter.kind.as_str(), "filter": filter.pattern() });
    let filters = (!filters.is_empty()).then(|| filters.iter().map(filter).collect());
    insert(&mut repository, "imageTagMutabilityExclusionFilters", filters);
    json!({ "repository": repository }).to_string()
}

fn insert(object: &mut Value, member: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(member.to_owned(), value);
    }
}
