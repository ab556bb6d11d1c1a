//! CreateRepository: so that a fresh deployment can be used with the clients people have.

mod input;

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::App;
use crate::call::Call;
use crate::error::Error;
use crate::names::Repository;
use crate::repository::Encryption;
use crate::table::create::NewRepository;
use input::{EncryptionChoice, Input};

const ACTION: &str = "ecr:CreateRepository";

/// Creates a repository in the caller's own registry; the answer's body.
///
/// # Errors
/// `SerializationException`, `InvalidParameterException`, `AccessDeniedException`, `KmsException`,
/// `RepositoryAlreadyExistsException`, `ServerException`.
pub async fn create_repository(app: &App, call: &mut Call, body: String) -> Result<String, Error> {
    let input = Input::parse(&body, app.config.default_kms_key.as_deref())?;
    let region = &app.config.region;
    let (repository, caller) =
        call.addressee(ACTION, input.registry_id, input.repository_name, region)?;
    // Another's registry is closed whatever a repository's policy says: there is none yet.
    if !caller.may(ACTION, &repository, None) {
        let (caller, resource) = (caller.arn_or_root("aws"), repository.arn(region));
        return Err(Error::AccessDenied { caller, action: ACTION, resource });
    }

    let key_arn = |key: String| app.data_keys.key_arn(&repository, key);
    let encryption = match input.encryption {
        EncryptionChoice::Aes256 => Encryption::Aes256,
        EncryptionChoice::Kms(key) => Encryption::Kms(key_arn(key).await?),
        EncryptionChoice::KmsDsse(key) => Encryption::KmsDsse(key_arn(key).await?),
    };
    call.log.encryption = Some(encryption.as_str());

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
    if app.table.create(&new, &mut call.log).await? {
        Ok(answer(&new, region))
    } else {
        Err(Error::RepositoryAlreadyExists(repository))
    }
}

/// `{"repository":{…}}` as the ECR API reference shows it.
fn answer(new: &NewRepository<'_>, region: &str) -> String {
    let Repository { registry, name } = new.repository;
    let mut encryption = json!({ "encryptionType": new.encryption.as_str() });
    insert(&mut encryption, "kmsKey", new.encryption.kms_key().map(Into::into));
    let mut repository = json!({
        "repositoryArn": new.repository.arn(region),
        "registryId": registry.as_str(),
        "repositoryName": name.as_str(),
        "repositoryUri": format!("{registry}.dkr.ecr.{region}.amazonaws.com/{name}"),
        "createdAt": Duration::from_millis(new.created_at).as_secs_f64(),
        "imageTagMutability": new.tag_mutability.mode.as_str(),
        "imageScanningConfiguration": { "scanOnPush": new.scan_on_push },
        "encryptionConfiguration": encryption,
    });
    let filters = &new.tag_mutability.filters;
    let filter = |filter| json!({ "filterType": "WILDCARD", "filter": filter });
    let filters = (!filters.is_empty()).then(|| filters.iter().map(filter).collect());
    insert(&mut repository, "imageTagMutabilityExclusionFilters", filters);
    json!({ "repository": repository }).to_string()
}

fn insert(object: &mut Value, member: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(member.to_owned(), value);
    }
}
