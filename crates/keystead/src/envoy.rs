//! `keystead envoy`: register an Envoy as a node and print its bootstrap.
//!
//! On the server's own machine the node proves itself by the user id of its process, over the Unix
//! socket, and nothing secret is written anywhere. Elsewhere (`--identity-dir`) it has a key of its
//! own, made here and never sent, with a client certificate that the server issues for it.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use keystead_core::x509::{KeySpec, Name, NameAttribute, Oid};
use keystead_crypto::seal::RootKey;
use keystead_crypto::{KeyRing, KeyRingOptions, PrivateKeyPem, x509};
use keystead_xds::SecretKind;
use keystead_xds::bootstrap::{self, Endpoint, Options, Server, Variant};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::Failure;
use crate::client::{Client, KEYSTEAD};
use crate::exports::ClientFile;

/// Register an Envoy and print its complete bootstrap.
///
/// What the Envoy may have is exactly what is named here; calling this again for the same node
/// replaces it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  Terminate TLS in front of an application:
    keystead envoy --node app --certificate arn:aws:acm:...:certificate/... \\
      --listen 127.0.0.1:8443 --upstream 127.0.0.1:8080 --admin 127.0.0.1:9901 > envoy.yaml
    envoy -c envoy.yaml
  A gateway that checks the application's certificate against a private CA:
    keystead envoy --node gateway --trust arn:aws:acm-pca:...:certificate-authority/... \\
      --server-name app.example.internal \\
      --listen 127.0.0.1:8000 --upstream 127.0.0.1:8443 --admin 127.0.0.1:9902 > gateway.yaml
  Take a node's access away:
    keystead envoy --node app --forget")]
pub(crate) struct Args {
    /// The node's name, unique in the account and region.
    #[arg(long, value_name = "NAME", default_value = "envoy")]
    node: String,
    /// The certificate that the listener serves; without it the listener is plain HTTP.
    #[arg(long, value_name = "ARN")]
    certificate: Option<String>,
    /// The upstream speaks TLS and must show a certificate of this CA.
    #[arg(long, value_name = "CA_ARN")]
    trust: Option<String>,
    /// The certificate to show to the upstream, where it asks for one.
    #[arg(long, value_name = "ARN", requires = "trust")]
    client_certificate: Option<String>,
    /// The name that the upstream's certificate must have [default: the upstream's host].
    #[arg(long, value_name = "NAME", requires = "trust")]
    server_name: Option<String>,
    /// Clients of the listener must show a certificate of this CA.
    #[arg(long, value_name = "CA_ARN", requires = "certificate")]
    client_trust: Option<String>,
    /// Where Envoy listens.
    #[arg(long, value_name = "ADDR:PORT", required_unless_present = "forget")]
    listen: Option<SocketAddr>,
    /// Where requests go.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "forget")]
    upstream: Option<String>,
    /// Envoy's admin port.
    #[arg(long, value_name = "ADDR:PORT", required_unless_present = "forget")]
    admin: Option<SocketAddr>,
    /// The user id that Envoy will run under [default: yours].
    #[arg(long, value_name = "UID", conflicts_with = "identity_dir")]
    uid: Option<u32>,
    /// Prove the node by a client certificate, over TLS, and keep it with its key in this directory.
    #[arg(long, value_name = "DIR")]
    identity_dir: Option<PathBuf>,
    /// Log each request on Envoy's standard output.
    #[arg(long)]
    access_log: bool,
    /// Remove the registration instead: the node gets nothing more.
    #[arg(long, conflicts_with_all = ["certificate", "trust", "client_trust", "client_certificate", "listen", "upstream", "admin"])]
    forget: bool,
    /// The server's data directory [default: $XDG_DATA_HOME/keystead].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let file = ClientFile::load(args.data_dir.as_deref())?;
    let client = Client::new(&file)?;
    if args.forget {
        return forget(&client, &args.node).await;
    }
    let (Some(listen), Some(upstream), Some(admin)) = (args.listen, &args.upstream, args.admin)
    else {
        return Err(Failure("give --listen, --upstream and --admin".into()));
    };
    let identity = match &args.identity_dir {
        Some(dir) => Some(Identity::make(dir).await?),
        None => None,
    };
    let answer = client
        .call(
            KEYSTEAD,
            "RegisterNode",
            &registration(&args, identity.as_ref()),
        )
        .await?;
    let server = match &identity {
        Some(identity) => identity.keep(&answer, &file)?,
        None => Server::Unix {
            path: file.xds_socket.display().to_string(),
        },
    };
    let options = Options {
        node_id: text(&answer, "NodeArn")?.to_owned(),
        node_cluster: args.node.clone(),
        server,
        variant: Variant::default(),
        listen,
        admin,
        upstream: upstream
            .parse::<Endpoint>()
            .map_err(|error| Failure(error.to_string()))?,
        certificate: args.certificate,
        client_trust: args.client_trust,
        upstream_trust: args.trust,
        client_certificate: args.client_certificate,
        server_name: args.server_name,
        access_log: args.access_log,
    };
    let rendered = bootstrap::render(&options).map_err(|error| Failure(error.to_string()))?;
    print!("{rendered}");
    Ok(ExitCode::SUCCESS)
}

fn registration(args: &Args, identity: Option<&Identity>) -> Value {
    let trust: Vec<_> = args.trust.iter().chain(&args.client_trust).collect();
    let mut input = json!({ "Name": args.node, "TrustArns": trust });
    if let Value::Object(members) = &mut input {
        let shown = args.certificate.iter().chain(&args.client_certificate);
        members.insert(
            "CertificateArns".into(),
            shown.map(String::as_str).collect::<Vec<_>>().into(),
        );
        match identity {
            Some(identity) => members.insert("Csr".into(), identity.csr.clone().into()),
            None => {
                let uid = args
                    .uid
                    .unwrap_or_else(|| rustix::process::geteuid().as_raw());
                members.insert("UnixUid".into(), uid.into())
            }
        };
    }
    input
}

async fn forget(client: &Client, name: &str) -> Result<ExitCode, Failure> {
    let mut input = json!({});
    loop {
        let page = client.call(KEYSTEAD, "ListNodes", &input).await?;
        let nodes = page.get("Nodes").and_then(Value::as_array);
        let named = nodes
            .into_iter()
            .flatten()
            .find(|node| node.get("Name") == Some(&name.into()));
        if let Some(node) = named {
            let arn = text(node, "NodeArn")?;
            client
                .call(KEYSTEAD, "DeregisterNode", &json!({ "NodeArn": arn }))
                .await?;
            println!("{arn} gets nothing more");
            return Ok(ExitCode::SUCCESS);
        }
        match page.get("NextToken") {
            Some(token) => input = json!({ "NextToken": token }),
            None => {
                return Err(Failure(format!(
                    "there is no node '{name}'; 'keystead status' lists them"
                )));
            }
        }
    }
}

/// A node's own key, until its certificate has come.
struct Identity {
    dir: PathBuf,
    key: PrivateKeyPem,
    /// Base64 of the request, as a blob of awsJson is.
    csr: String,
}

impl Identity {
    async fn make(dir: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(dir)
            .map_err(|error| Failure(format!("cannot make {}: {error}", dir.display())))?;
        let made = make_key()
            .await
            .map_err(|error| Failure(error.to_string()))?;
        Ok(Self {
            dir: dir.to_owned(),
            csr: base64::engine::general_purpose::STANDARD.encode(made.1),
            key: made.0,
        })
    }

    /// Writes what Envoy reads: its certificate with key, and whom it trusts.
    fn keep(&self, answer: &Value, file: &ClientFile) -> Result<Server, Failure> {
        let authority = file
            .endpoint
            .strip_prefix("https://")
            .ok_or_else(|| Failure("the server speaks no TLS, so its Envoys come over the Unix socket: leave --identity-dir out".into()))?;
        let chain = text(answer, "ClientCertificate")?;
        let own = SecretKind::TlsCertificate {
            chain_pem: chain.to_owned(),
            private_key_pem: Zeroizing::new(self.key.as_pem().to_owned()),
        };
        let server = SecretKind::Validation {
            trust_pem: text(answer, "TrustBundle")?.to_owned(),
        };
        let identity_file = self.write(
            "identity.json",
            &bootstrap::secret_file(bootstrap::IDENTITY, &own),
        )?;
        let trust_file = self.write(
            "trust.json",
            &bootstrap::secret_file(bootstrap::TRUST, &server),
        )?;
        let address: Endpoint = authority
            .parse()
            .map_err(|_| Failure(format!("'{authority}' is not an address")))?;
        Ok(Server::Tls {
            server_name: address.host.clone(),
            address,
            identity_file,
            trust_file,
        })
    }

    /// Writes a file for its owner alone, by renaming, so that Envoy never reads half of it.
    fn write(&self, name: &str, content: &str) -> Result<String, Failure> {
        let path = self.dir.join(name);
        let new = self.dir.join(format!(".{name}.new"));
        let write = || -> std::io::Result<PathBuf> {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(content.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            fs::canonicalize(&path)
        };
        let path = write()
            .map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))?;
        Ok(path.display().to_string())
    }
}

/// A key and a signed request for it. The subject is empty of meaning: the server names the node.
async fn make_key() -> Result<(PrivateKeyPem, Vec<u8>), keystead_crypto::CryptoError> {
    let ring = KeyRing::open(
        &RootKey::generate()?,
        KeyRingOptions {
            threads: 2,
            reserve: false,
        },
    )?;
    let new = ring.generate(KeySpec::EcP256).await?;
    let algorithm = KeySpec::EcP256.default_signature();
    let subject = Name {
        attributes: vec![NameAttribute {
            oid: Oid::new("2.5.4.3"),
            value: "keystead node".into(),
        }],
    };
    let info = x509::encode_csr_info(&x509::encode_name(&subject)?, &new.spki_der, &[])?;
    let signature = ring.sign(&new.key, algorithm, &info).await?;
    let csr = x509::assemble(&info, algorithm, &signature)?;
    Ok((ring.reveal(&new.key).await?, csr))
}

fn text<'a>(object: &'a Value, name: &str) -> Result<&'a str, Failure> {
    object
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| Failure(format!("the server's answer has no {name}")))
}
