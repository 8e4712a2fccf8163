//! Service-linked roles: made for a service by name, kept from change, removed by a task.
//!
//! None of Keystead's services needs its role to work; they are here for templates and tools that make
//! them first.

use keystead_core::iam::Kind;
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::digest;
use keystead_wire::iam as wire;

use super::identity::make;
use super::record::{Entity, Role, load};
use super::roles::{DEFAULT_SESSION, delete_if};
use super::shown::{self, Detail};
use crate::Ctx;

/// `iam:CreateServiceLinkedRole`.
pub(crate) async fn create_service_linked_role(
    ctx: &Ctx,
    input: wire::CreateServiceLinkedRoleRequest,
) -> Result<wire::CreateServiceLinkedRoleResponse> {
    let service = input.aws_service_name;
    let known = LINKED
        .iter()
        .find(|known| known.service == service)
        .ok_or_else(|| {
            invalid(format!(
                "The service {service} has no service-linked role that Keystead knows."
            ))
        })?;
    let name = match input.custom_suffix {
        Some(suffix) if known.suffix => format!("{}_{suffix}", known.role),
        Some(_) => {
            return Err(invalid(format!(
                "Custom suffix is not allowed for {service}"
            )));
        }
        None => known.role.to_owned(),
    };
    let path = format!("/aws-service-role/{service}/");
    let role = Role {
        entity: Entity::new(ctx, Kind::Role, name.clone(), Some(path))?,
        trust: trust(&service),
        description: input.description,
        max_session: DEFAULT_SESSION,
        linked_to: Some(service),
        profiles: 0,
    };
    let made = make(ctx, role, None, |_| {}).await;
    let role = made.map_err(|error| match error.kind {
        // The operation's page lists InvalidInput and no EntityAlreadyExists.
        ErrorKind::AlreadyExists => invalid(format!(
            "Service role name {name} has been taken in this account, please try a different suffix."
        )),
        _ => error,
    })?;
    Ok(wire::CreateServiceLinkedRoleResponse {
        role: Some(shown::role(ctx, role, Detail::Full, None)),
    })
}

/// `iam:DeleteServiceLinkedRole`: nothing of Keystead's keeps the role in use, so it goes at once, and the
/// task that is answered has succeeded.
pub(crate) async fn delete_service_linked_role(
    ctx: &Ctx,
    input: wire::DeleteServiceLinkedRoleRequest,
) -> Result<wire::DeleteServiceLinkedRoleResponse> {
    let name = &input.role_name;
    let role = load::<Role>(ctx, name).await?.value;
    let not_linked = || {
        Error::new(
            ErrorKind::NotFound,
            format!("The role with name {name} is not a service-linked role."),
        )
    };
    let service = role.linked_to.ok_or_else(not_linked)?;
    let still = |role: &Role| match &role.linked_to {
        Some(_) => Ok(()),
        None => Err(not_linked()),
    };
    delete_if(ctx, name, still).await?;
    Ok(wire::DeleteServiceLinkedRoleResponse {
        deletion_task_id: task(ctx, &service, &role.entity.name),
    })
}

/// `iam:GetServiceLinkedRoleDeletionStatus`.
pub(crate) async fn get_service_linked_role_deletion_status(
    ctx: &Ctx,
    input: wire::GetServiceLinkedRoleDeletionStatusRequest,
) -> Result<wire::GetServiceLinkedRoleDeletionStatusResponse> {
    let id = &input.deletion_task_id;
    let mut parts = id.split('/').skip(2);
    let ours = match (parts.next(), parts.next()) {
        (Some(service), Some(role)) => {
            digest::constant_time_eq(task(ctx, service, role).as_bytes(), id.as_bytes())
        }
        _ => false,
    };
    if !ours {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("Deletion Task Id {id} cannot be found."),
        ));
    }
    Ok(wire::GetServiceLinkedRoleDeletionStatusResponse {
        status: wire::DeletionTaskStatusType::Succeeded,
        reason: None,
    })
}

/// The id of the task that removed the role: its UUID proves that this installation gave it, so that no
/// record of it need be kept.
fn task(ctx: &Ctx, service: &str, role: &str) -> String {
    let text = format!("role deletion\n{}\n{service}\n{role}", ctx.account());
    let mac = digest::hmac_sha256(&ctx.app.cursors.0, text.as_bytes());
    let mut bytes = [0; 16];
    for (byte, of) in bytes.iter_mut().zip(mac) {
        *byte = of;
    }
    let uuid = keystead_core::uuid_v4(u128::from_be_bytes(bytes));
    format!("task/aws-service-role/{service}/{role}/{uuid}")
}

/// Who may assume the role: the service.
fn trust(service: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Action":["sts:AssumeRole"],"Effect":"Allow","Principal":{{"Service":["{service}"]}}}}]}}"#
    )
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidParameter, message)
}

/// A service with a role of its own.
struct Linked {
    service: &'static str,
    role: &'static str,
    /// Whether it can have several, told apart by a suffix.
    suffix: bool,
}

const fn linked(service: &'static str, role: &'static str) -> Linked {
    Linked {
        service,
        role,
        suffix: false,
    }
}

/// The services that we serve or that people wire around them, each with its role as the service's own
/// guide names it ("Using service-linked roles").
const LINKED: &[Linked] = &[
    linked("acm.amazonaws.com", "AWSServiceRoleForCertificateManager"),
    linked("appmesh.amazonaws.com", "AWSServiceRoleForAppMesh"),
    Linked {
        suffix: true,
        ..linked("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling")
    },
    linked(
        "cks.kms.amazonaws.com",
        "AWSServiceRoleForKeyManagementServiceCustomKeyStores",
    ),
    linked("cloudtrail.amazonaws.com", "AWSServiceRoleForCloudTrail"),
    linked(
        "custom-resource.application-autoscaling.amazonaws.com",
        "AWSServiceRoleForApplicationAutoScaling_CustomResource",
    ),
    linked(
        "dynamodb.application-autoscaling.amazonaws.com",
        "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable",
    ),
    linked("ecs.amazonaws.com", "AWSServiceRoleForECS"),
    linked("eks.amazonaws.com", "AWSServiceRoleForAmazonEKS"),
    linked(
        "elasticbeanstalk.amazonaws.com",
        "AWSServiceRoleForElasticBeanstalk",
    ),
    linked(
        "elasticloadbalancing.amazonaws.com",
        "AWSServiceRoleForElasticLoadBalancing",
    ),
    linked("events.amazonaws.com", "AWSServiceRoleForCloudWatchEvents"),
    linked(
        "mrk.kms.amazonaws.com",
        "AWSServiceRoleForKeyManagementServiceMultiRegionKeys",
    ),
    linked("rds.amazonaws.com", "AWSServiceRoleForRDS"),
    linked(
        "replication.dynamodb.amazonaws.com",
        "AWSServiceRoleForDynamoDBReplication",
    ),
    linked(
        "rolesanywhere.amazonaws.com",
        "AWSServiceRoleForRolesAnywhere",
    ),
];
