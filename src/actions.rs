//! The actions of the API, one line each.

pub(crate) mod create_repository;
pub(crate) mod put_image;

use futures_util::future::{BoxFuture, FutureExt as _};

use crate::api::call::Call;
use crate::api::error::Error;
use crate::app::App;
use create_repository::create_repository;
use put_image::put_image;

static ACTIONS: [Action; 2] = [
    Action {
        name: "CreateRepository",
        rights: Rights::All,
        run: |app, call, body| create_repository(app, call, body).boxed(),
    },
    Action {
        name: "PutImage",
        rights: Rights::Push,
        run: |app, call, body| put_image(app, call, body).boxed(),
    },
];

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
