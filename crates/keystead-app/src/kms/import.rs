//! Key material from outside.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

/// GetParametersForImport.
pub async fn get_parameters_for_import(
    ctx: &Ctx,
    input: wire::GetParametersForImportRequest,
) -> Result<wire::GetParametersForImportResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// ImportKeyMaterial.
pub async fn import_key_material(
    ctx: &Ctx,
    input: wire::ImportKeyMaterialRequest,
) -> Result<wire::ImportKeyMaterialResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// DeleteImportedKeyMaterial.
pub async fn delete_imported_key_material(
    ctx: &Ctx,
    input: wire::DeleteImportedKeyMaterialRequest,
) -> Result<wire::DeleteImportedKeyMaterialResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
