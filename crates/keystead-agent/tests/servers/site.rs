//! Pairs, and the folder that a server reads one from.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// A certificate for `localhost` with its key.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) der: Vec<u8>,
}

impl Pair {
    pub(crate) fn make(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("openssl");
        command.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout key -out pem".split(' '));
        command.args(["-addext", "subjectAltName=DNS:localhost"]);
        command.arg("-subj").arg(format!("/CN={name}"));
        let output = command.current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let read = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
        let certificate = read("pem");
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        Self {
            der: der.to_vec(),
            key: read("key"),
            certificate,
        }
    }

    /// What no server takes: a key of another certificate.
    pub(crate) fn broken() -> Self {
        Self {
            key: Self::make("other").key,
            ..Self::make("broken")
        }
    }
}

/// A folder with a pair in it, and a free port.
pub(crate) struct Site {
    _held: Option<tempfile::TempDir>,
    /// Where the pair is.
    pub(crate) path: PathBuf,
    pub(crate) port: u16,
    /// The names of certificate and key.
    pub(crate) names: [&'static str; 2],
}

impl Site {
    pub(crate) fn new(pair: &Pair) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Servers that give up root read it as somebody else.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let site = Self {
            path: dir.path().to_owned(),
            _held: Some(dir),
            port: free_port(),
            names: ["site.pem", "site.key"],
        };
        site.put(pair);
        site
    }

    /// Of a server that has a folder already.
    pub(crate) fn at(path: &Path, port: u16) -> Self {
        Self {
            _held: None,
            path: path.to_owned(),
            port,
            names: ["server.pem", "server.key"],
        }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    /// The pair in one file.
    pub(crate) fn both(&self) -> PathBuf {
        self.path.join("both.pem")
    }

    /// Replaces the files, each in one step.
    pub(crate) fn put(&self, pair: &Pair) {
        let [certificate, key] = self.names;
        self.replace(certificate, &pair.certificate);
        self.replace(key, &pair.key);
        self.replace("both.pem", &format!("{}{}", pair.certificate, pair.key));
    }

    fn replace(&self, name: &str, text: &str) {
        let (path, next) = (self.path.join(name), self.path.join("next"));
        fs::write(&next, text).unwrap();
        fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
        let owner = fs::metadata(&self.path).unwrap();
        std::os::unix::fs::chown(&next, Some(owner.uid()), Some(owner.gid())).unwrap();
        fs::rename(next, path).unwrap();
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn is_root() -> bool {
        fs::metadata("/proc/self").unwrap().uid() == 0
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
