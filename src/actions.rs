//! The actions of the API, one line each.

pub(crate) mod create_repository;
pub(crate) mod put_image;

use futures_util::future::{BoxFuture, FutureExt as _};

use crate::api::call::Call;
use crate::api::error::Error;
use crate::app::App;

macro_rules! actions {
    ($($name:literal $rights:ident $run:path;)*) => {
        &[$(Action {
            name: $name,
            rights: Rights::$rights,
            run: |app, call, body| $run(app, call, body).boxed(),
        }),*]
    };
}

static ACTIONS: &[Action] = actions! {
    "CreateRepository" All create_repository::create_repository;
    "PutImage" Push put_image::put_image;
};

pub(crate) struct Action {
    /// The name in `X-Amz-Target`. The IAM action is `ecr:` followed by this name.
    pub(crate) name: &'static str,
    /// The least rights that a resource must give.
    pub(crate) rights: Rights,
    /// Takes the request's body and returns the response's.
    pub(crate) run: Run,
}

type Run = for<'a> fn(&'a App, &'a mut Call, String) -> BoxFuture<'a, Result<String, Error>>;

/// Which of the API's resources serve an action. Every action is `POST` to the endpoint, so IAM can
/// distinguish rights only by path. `Pull` and `Push` cover the actions of the AWS managed policies
/// `AmazonEC2ContainerRegistryReadOnly` and `AmazonEC2ContainerRegistryPowerUser`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rights {
    Pull,
    Push,
    All,
}

impl Rights {
    /// The rights that the resource at this path gives.
    pub(crate) fn of_resource(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::All),
            "/push" => Some(Self::Push),
            "/pull" => Some(Self::Pull),
            _ => None,
        }
    }
}

impl Action {
    /// The action that a target names: `AmazonEC2ContainerRegistry_V20150921.` and its name.
    pub(crate) fn of_target(target: &str) -> Option<&'static Self> {
        let name = target.strip_prefix("AmazonEC2ContainerRegistry_V20150921.")?;
        ACTIONS.iter().find(|action| action.name == name)
    }
}
