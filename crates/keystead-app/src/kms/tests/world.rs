//! A server without its listeners, as for private CAs, and what KMS's tests do with it.

use std::io::Write as _;
use std::ops::Deref;
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use keystead_core::kms::{
    Key, KeySpec, Manager, Material, MaterialId, MaterialState, MultiRegion, Origin, Stage,
};
use keystead_core::tags::Tags;
use keystead_core::{AccountId, ErrorKind, Region, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::kms as wire;
use keystead_wire::shape::{FromValue as _, IntoValue as _, Operation};

use crate::kms::record::{Held, KEYS, KeyRecord, key_of, owner};
use crate::kms::{self, upkeep};
use crate::pca::tests::world as pca_world;
use crate::{Ctx, dispatch, kms as use_cases};

pub(super) struct World(pca_world::World);

impl Deref for World {
    type Target = pca_world::World;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// AWS's code and message.
pub(super) type Refusal = (&'static str, String);

pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);
pub(super) const HOME: &str = "us-east-1";
pub(super) const AWAY: [&str; 2] = ["eu-west-1", "us-west-2"];

/// Key material of a symmetric encryption key.
pub(super) fn secret(byte: u8) -> Vec<u8> {
    vec![byte; 32]
}

impl World {
    pub(super) async fn new() -> Self {
        Self(pca_world::World::new().await)
    }

    pub(super) async fn restart(self) -> Self {
        Self(self.0.restart().await)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.app.env.now()
    }

    /// Time passes, and what comes due by it is done.
    pub(super) async fn pass_and_run(&self, time: SignedDuration) {
        self.pass(time);
        self.run_due().await;
    }

    /// Calls an operation as a client of the account does; a refusal is AWS's code and message.
    pub(super) async fn call<O: Operation>(
        &self,
        region: &str,
        input: O::Input,
    ) -> Result<O::Output, Refusal> {
        let answer = dispatch::call(self.ctx_in(region), O::DEF, input.into_value()).await;
        let answer = answer.map_err(|refused| (refused.code, refused.message))?;
        Ok(O::Output::from_value(answer).unwrap())
    }

    /// The id of a key that CreateKey makes.
    pub(super) async fn made(&self, input: wire::CreateKeyRequest) -> String {
        let answer = self.call::<wire::CreateKey>(HOME, input).await.unwrap();
        answer.key_metadata.unwrap().key_id
    }

    pub(super) async fn enable(&self, region: &str, id: &str) {
        let input = wire::EnableKeyRequest { key_id: id.into() };
        self.call::<wire::EnableKey>(region, input).await.unwrap();
    }

    /// Lets use cases be called on a key without a client's operation, as other tests do.
    pub(super) async fn allow_all(&self, id: &str) {
        for region in [HOME, AWAY[0], AWAY[1]] {
            let at = format!("123456789012/{region}/{id}");
            let found = self.app.store.get::<KeyRecord>(KEYS, &at).await.unwrap();
            if let Some(mut found) = found {
                found.value.key.policy = POLICY.into();
                self.put(&found.value).await;
            }
        }
    }

    /// Bytes of the store's log.
    pub(super) fn log_bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.dir.path().join("data")).unwrap();
        let logs = files
            .map(|file| file.unwrap())
            .filter(|file| file.file_name().to_str().unwrap().ends_with("-wal"));
        logs.map(|file| file.metadata().unwrap().len()).sum()
    }

    pub(super) fn ctx_in(&self, region: &str) -> Ctx {
        self.ctx_of("123456789012", region)
    }

    /// The id of a new key.
    pub(super) async fn create(&self, spec: KeySpec, origin: Origin) -> String {
        self.create_with(spec, origin, |_| ()).await
    }

    pub(super) async fn create_with(
        &self,
        spec: KeySpec,
        origin: Origin,
        edit: impl FnOnce(&mut Key),
    ) -> String {
        let mut key = Key {
            id: crate::ids::uuid().unwrap(),
            account: AccountId::parse("123456789012").unwrap(),
            region: region(HOME),
            spec,
            usage: spec.usages()[0],
            origin,
            manager: Manager::Customer,
            description: String::new(),
            created_at: self.now(),
            stage: match origin {
                Origin::External => Stage::PendingImport,
                _ => Stage::Enabled,
            },
            policy: POLICY.into(),
            tags: Tags::default(),
            aliases: Vec::new(),
            multi_region: None,
            store: None,
            materials: Vec::new(),
            rotation: None,
            grants: 0,
        };
        edit(&mut key);
        let mut record = KeyRecord {
            held: Vec::new(),
            public_key: None,
            key,
        };
        if origin == Origin::AwsKms {
            let owner = owner(&record.key);
            let new = self.app.keys.generate_material(spec, owner.as_bytes());
            let new = new.await.unwrap();
            let id = MaterialId(new.material_id);
            record.key.materials.push(Material {
                id,
                since: self.now(),
                rotation: None,
                state: MaterialState::Current,
                import: None,
            });
            record.held.push(Held {
                id,
                material: new.material,
            });
            record.public_key = new.public_key.map(Into::into);
        }
        self.put(&record).await;
        record.key.id
    }

    /// A multi-Region key with replicas; those of an imported key have nothing of it yet.
    pub(super) async fn replicated(&self, origin: Origin, key_material: &[u8]) -> String {
        let multi = MultiRegion {
            primary: region(HOME),
            replicas: AWAY.iter().map(|name| region(name)).collect(),
        };
        let edit = |key: &mut Key| key.id = format!("mrk-{}", key.id.replace('-', ""));
        let id = self
            .create_with(KeySpec::SymmetricDefault, origin, edit)
            .await;
        if origin == Origin::External {
            self.import(HOME, &id, key_material, |_| ()).await.unwrap();
        }
        let mut primary = self.record(HOME, &id).await;
        primary.key.multi_region = Some(multi);
        self.put(&primary).await;
        for away in AWAY {
            let mut replica = primary.clone();
            replica.key.region = region(away);
            if origin == Origin::External {
                replica.held.clear();
                replica.key.stage = Stage::PendingImport;
                for material in &mut replica.key.materials {
                    material.import = Some(Default::default());
                }
            }
            self.put(&replica).await;
            if origin == Origin::External {
                self.import(away, &id, key_material, |_| ()).await.unwrap();
            }
        }
        id
    }

    pub(super) async fn put(&self, record: &KeyRecord) {
        let Key {
            account,
            region,
            id,
            ..
        } = &record.key;
        let at = key_of(account, region, id);
        let mut batch = Batch::new();
        batch.put(KEYS, at.as_str(), record, Expect::Any);
        upkeep::queue(&mut batch, &at, &record.key);
        self.app.store.commit(batch).await.unwrap();
    }

    /// Changes a stored key as an operation that is not tested here would.
    pub(super) async fn edit(&self, id: &str, edit: impl FnOnce(&mut Key)) {
        let mut record = self.record(HOME, id).await;
        edit(&mut record.key);
        self.put(&record).await;
    }

    pub(super) async fn record(&self, region: &str, id: &str) -> KeyRecord {
        let at = format!("123456789012/{region}/{id}");
        let found = self.app.store.get::<KeyRecord>(KEYS, &at).await.unwrap();
        let record = found.unwrap().value;
        assert_in_step(&record);
        record
    }

    pub(super) async fn key(&self, id: &str) -> Key {
        self.record(HOME, id).await.key
    }

    pub(super) async fn rotate(&self, region: &str, id: &str) -> Result<()> {
        let input = wire::RotateKeyOnDemandRequest { key_id: id.into() };
        let answer = use_cases::rotate_key_on_demand(&self.ctx_in(region), input).await?;
        assert_eq!(answer.key_id.as_deref(), Some(id));
        Ok(())
    }

    pub(super) async fn enable_rotation(&self, id: &str, days: Option<i32>) -> Result<()> {
        let input = wire::EnableKeyRotationRequest {
            key_id: id.into(),
            rotation_period_in_days: days,
        };
        use_cases::enable_key_rotation(&self.ctx(), input)
            .await
            .map(drop)
    }

    pub(super) async fn status(
        &self,
        region: &str,
        id: &str,
    ) -> wire::GetKeyRotationStatusResponse {
        let input = wire::GetKeyRotationStatusRequest { key_id: id.into() };
        use_cases::get_key_rotation_status(&self.ctx_in(region), input)
            .await
            .unwrap()
    }

    /// All key materials.
    pub(super) async fn materials(&self, region: &str, id: &str) -> Vec<wire::RotationsListEntry> {
        let input = wire::ListKeyRotationsRequest {
            key_id: id.into(),
            include_key_material: Some(wire::IncludeKeyMaterial::AllKeyMaterial),
            limit: None,
            marker: None,
        };
        let answer = use_cases::list_key_rotations(&self.ctx_in(region), input).await;
        answer.unwrap().rotations.unwrap()
    }

    pub(super) async fn encrypt(&self, region: &str, id: &str) -> Result<Vec<u8>> {
        let answer = kms::encrypt(&self.ctx_in(region), encryption(id)).await?;
        Ok(answer.ciphertext_blob.unwrap().into_inner())
    }

    /// Whether the key opens this there.
    pub(super) async fn decrypts(&self, region: &str, id: &str, ciphertext: &[u8]) -> Result<()> {
        let input = wire::DecryptRequest {
            ciphertext_blob: Some(ciphertext.to_vec().into()),
            encryption_context: None,
            grant_tokens: None,
            key_id: Some(id.into()),
            encryption_algorithm: None,
            recipient: None,
            dry_run: None,
            dry_run_modifiers: None,
        };
        let answer = kms::decrypt(&self.ctx_in(region), input).await?;
        assert_eq!(answer.plaintext.unwrap().expose(), b"hello");
        Ok(())
    }

    pub(super) async fn parameters(
        &self,
        region: &str,
        id: &str,
        algorithm: wire::AlgorithmSpec,
    ) -> Result<wire::GetParametersForImportResponse> {
        let input = wire::GetParametersForImportRequest {
            key_id: id.into(),
            wrapping_algorithm: algorithm,
            wrapping_key_spec: wire::WrappingKeySpec::Rsa2048,
        };
        use_cases::get_parameters_for_import(&self.ctx_in(region), input).await
    }

    /// The order of an import that goes well: key material wrapped by OpenSSL, that does not expire.
    pub(super) async fn ordered(
        &self,
        region: &str,
        id: &str,
        algorithm: wire::AlgorithmSpec,
        key_material: &[u8],
    ) -> wire::ImportKeyMaterialRequest {
        let parameters = self.parameters(region, id, algorithm).await.unwrap();
        let public_key = parameters.public_key.unwrap();
        wire::ImportKeyMaterialRequest {
            key_id: id.into(),
            import_token: parameters.import_token.unwrap(),
            encrypted_key_material: wrapped(public_key.expose(), algorithm, key_material).into(),
            valid_to: None,
            expiration_model: Some(wire::ExpirationModelType::KeyMaterialDoesNotExpire),
            import_type: None,
            key_material_description: None,
            key_material_id: None,
        }
    }

    /// Imports key material, as `edit` says; answers its id.
    pub(super) async fn import(
        &self,
        region: &str,
        id: &str,
        key_material: &[u8],
        edit: impl FnOnce(&mut wire::ImportKeyMaterialRequest),
    ) -> Result<Option<String>> {
        let spec = self.record(region, id).await.key.spec;
        let algorithm = match spec {
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => {
                wire::AlgorithmSpec::RsaAesKeyWrapSha256
            }
            _ => wire::AlgorithmSpec::RsaesOaepSha256,
        };
        let mut input = self.ordered(region, id, algorithm, key_material).await;
        edit(&mut input);
        let answer = use_cases::import_key_material(&self.ctx_in(region), input).await?;
        Ok(answer.key_material_id)
    }

    pub(super) async fn delete_material(
        &self,
        region: &str,
        id: &str,
        material: Option<String>,
    ) -> Result<Option<String>> {
        let input = wire::DeleteImportedKeyMaterialRequest {
            key_id: id.into(),
            key_material_id: material,
        };
        let ctx = self.ctx_in(region);
        let answer = use_cases::delete_imported_key_material(&ctx, input).await?;
        Ok(answer.key_material_id)
    }
}

/// A call that encrypts under the key of this name.
pub(super) fn encryption(key: &str) -> wire::EncryptRequest {
    wire::EncryptRequest {
        key_id: key.into(),
        plaintext: b"hello".to_vec().into(),
        encryption_context: None,
        grant_tokens: None,
        encryption_algorithm: None,
        dry_run: None,
    }
}

/// New key material, in a call.
pub(super) fn as_new(input: &mut wire::ImportKeyMaterialRequest) {
    input.import_type = Some(wire::ImportType::NewKeyMaterial);
}

/// What a key's record says of its key materials is what it holds, and what its state says.
pub(super) fn assert_in_step(record: &KeyRecord) {
    let here = record.key.materials.iter().filter(|one| one.is_here());
    let mut here: Vec<_> = here.map(|material| material.id).collect();
    let mut held: Vec<_> = record.held.iter().map(|held| held.id).collect();
    here.sort_unstable();
    held.sort_unstable();
    assert_eq!(here, held, "{:?}", record.key.materials);
    if record.key.stage == Stage::Enabled {
        assert!(record.key.is_complete());
    }
    if record.key.stage == Stage::PendingImport {
        assert!(!record.key.is_complete());
    }
}

/// Key material wrapped by OpenSSL, as the developer guide shows it.
pub(super) fn wrapped(
    public_key: &[u8],
    algorithm: wire::AlgorithmSpec,
    key_material: &[u8],
) -> Vec<u8> {
    use wire::AlgorithmSpec as A;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrapping.der");
    std::fs::write(&path, public_key).unwrap();
    let path = path.to_str().unwrap();
    let hash = match algorithm {
        A::RsaesOaepSha1 | A::RsaAesKeyWrapSha1 => "sha1",
        _ => "sha256",
    };
    let (md, mgf) = (format!("rsa_oaep_md:{hash}"), format!("rsa_mgf1_md:{hash}"));
    let rsa = |plain: &[u8]| {
        let options = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", &md];
        let mut arguments = vec!["pkeyutl", "-encrypt", "-inkey", path, "-keyform", "DER"];
        arguments.extend(["-pubin", "-pkeyopt", &mgf]);
        arguments.extend(options);
        openssl(&arguments, plain)
    };
    match algorithm {
        A::RsaAesKeyWrapSha1 | A::RsaAesKeyWrapSha256 => {
            let key = keystead_crypto::random::bytes::<32>().unwrap();
            let hex = keystead_core::hex(&key);
            let wrap = ["enc", "-id-aes256-wrap-pad", "-K", &hex, "-iv", "A65959A6"];
            [rsa(&key), openssl(&wrap, key_material)].concat()
        }
        _ => rsa(key_material),
    }
}

/// What the command makes of its input.
pub(super) fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
    output.stdout
}

pub(super) fn region(name: &str) -> Region {
    Region::parse(name).unwrap()
}

pub(super) fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.kind,
    }
}

const POLICY: &str = r#"{
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "*",
        "Resource": "*"
    }]
}"#;
