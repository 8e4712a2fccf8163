//! Objects: files that AWS's services put into buckets, and that whoever owns the bucket fetches.
//!
//! There is no S3 here yet. What Private CA puts into a bucket lies in the data directory, by account, bucket and key
//! (`objects/123456789012/BUCKET/audit-report/...`), and is served under the path that S3 has for it, `/BUCKET/KEY`, to
//! whoever may `s3:GetObject` it. Only names of the one form that is written are known, so that no path leads elsewhere.
//! As at AWS, an object stays until somebody deletes it; here, by deleting the file.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use keystead_core::pca::is_bucket_name;
use keystead_core::{Error, ErrorKind, Result};

use crate::access::{Act, Resource};
use crate::{Access, Ctx};

/// Where the objects lie.
#[derive(Debug)]
pub(crate) struct Objects(PathBuf);

/// The name of an object, which is safe as a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    bucket: String,
    key: String,
}

/// An object, open for reading.
#[derive(Debug)]
pub struct Object {
    /// Its bytes.
    pub file: File,
    /// How many there are.
    pub length: u64,
    /// What they are.
    pub content_type: &'static str,
    /// Names this very content: an object is never written twice.
    pub tag: String,
}

impl ObjectName {
    /// The object that a request's path names, if it can be one.
    pub fn of_path(path: &str) -> Option<Self> {
        let (bucket, key) = path.strip_prefix('/')?.split_once('/')?;
        Self::new(bucket, key)
    }

    /// The object with this key. Only what an audit report can be called is the name of one.
    pub(crate) fn new(bucket: &str, key: &str) -> Option<Self> {
        let [folder, authority, file] = *key.split('/').collect::<Vec<_>>() else {
            return None;
        };
        let (report, extension) = file.split_once('.')?;
        let fits = is_bucket_name(bucket)
            && folder == "audit-report"
            && is_uuid(authority)
            && is_uuid(report)
            && content_type(extension).is_some();
        fits.then(|| Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }

    fn file(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }
}

/// The object of this name in the caller's account.
///
/// Refuses with [`ErrorKind::AccessDenied`] whoever may not fetch it, there or not.
pub async fn open(ctx: &Ctx, name: &ObjectName) -> Result<Object> {
    let access = Access::beside_operations(&ctx.app, &ctx.principal).await?;
    let ctx = Ctx {
        access,
        ..ctx.clone()
    };
    let arn = format!("arn:aws:s3:::{}/{}", name.bucket, name.key);
    let resource = Resource::new(&arn, ctx.account().as_str());
    ctx.allow_as(Act::Also("s3:GetObject"), &resource)?;
    let path = ctx.app.objects.path(ctx.account().as_str(), name);
    let opened = blocking(move || {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    });
    let (file, length) = match opened.await {
        Ok(opened) => opened,
        Err(error) if error.kind == ErrorKind::NotFound => {
            return Err(Error::new(
                ErrorKind::NotFound,
                "The specified key does not exist.",
            ));
        }
        Err(error) => return Err(error),
    };
    let (tag, extension) = name.file().split_once('.').unwrap_or_default();
    Ok(Object {
        file,
        length,
        content_type: content_type(extension).unwrap_or_default(),
        tag: tag.to_owned(),
    })
}

impl Objects {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self(data_dir.join("objects"))
    }

    pub(crate) fn path(&self, account: &str, name: &ObjectName) -> PathBuf {
        let ObjectName { bucket, key } = name;
        self.0.join(account).join(bucket).join(key)
    }
}

/// An object that is being written, under another name than its own.
#[derive(Debug)]
pub(crate) struct Unfinished {
    path: PathBuf,
    file: File,
    written: u64,
    waiting: String,
}

impl Unfinished {
    /// The object that is to lie at `path`, of which this many bytes are written: what a crash left behind them is cut
    /// off, and if they are not there, nothing is. `None` where it is complete.
    pub(crate) fn open(path: PathBuf, written: u64) -> io::Result<Option<Self>> {
        if path.try_exists()? {
            return Ok(None);
        }
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(partial(&path))?;
        let written = if file.metadata()?.len() < written {
            0
        } else {
            written
        };
        file.set_len(written)?;
        file.seek(SeekFrom::Start(written))?;
        Ok(Some(Self {
            path,
            file,
            written,
            waiting: String::new(),
        }))
    }

    /// How long it is, with what waits to be written.
    pub(crate) fn length(&self) -> u64 {
        self.written.saturating_add(self.waiting.len() as u64)
    }

    /// Adds to what waits to be written.
    pub(crate) fn push(&mut self, text: &str) {
        self.waiting.push_str(text);
    }

    /// Writes what waits.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(self.waiting.as_bytes())?;
        self.written = self.length();
        self.waiting.clear();
        Ok(())
    }

    /// Makes what was written durable; answers how much it is.
    pub(crate) fn save(mut self) -> io::Result<u64> {
        self.flush()?;
        self.file.sync_all()?;
        Ok(self.written)
    }

    /// Gives the object, which is whole now, its name.
    pub(crate) fn complete(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()?;
        fs::rename(partial(&self.path), &self.path)?;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn partial(path: &Path) -> PathBuf {
    path.with_added_extension("partial")
}

/// Does work on files where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Internal,
        };
        Error::new(kind, format!("a file of an object can't be used: {error}"))
    })
}

/// The letters of a UUID; whether it is one does not matter to a path.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

fn content_type(extension: &str) -> Option<&'static str> {
    match extension {
        "csv" => Some("text/csv"),
        "json" => Some("application/json"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "11111111-2222-4333-8444-555555555555";

    #[test]
    fn only_reports_are_objects() {
        let path = format!("/a-bucket/audit-report/{ID}/{ID}.csv");
        let name = ObjectName::of_path(&path).unwrap();
        let at = Objects::new(Path::new("data")).path("123456789012", &name);
        assert_eq!(at, Path::new("data/objects/123456789012").join(&path[1..]));
        for other in [
            "".to_owned(),
            "/a-bucket".into(),
            format!("a-bucket/audit-report/{ID}/{ID}.csv"),
            format!("/../audit-report/{ID}/{ID}.csv"),
            format!("/a-bucket/other/{ID}/{ID}.csv"),
            format!("/a-bucket/audit-report/../{ID}.csv"),
            format!("/a-bucket/audit-report/{ID}/{ID}.csv/.."),
            format!("/a-bucket/audit-report/{ID}/{ID}.csv.partial"),
            format!("/a-bucket/audit-report/{ID}/{ID}"),
            format!("/a-bucket/audit-report/{ID}/%2e%2e.csv"),
            format!("/a-bucket/audit-report//{ID}/{ID}.csv"),
        ] {
            assert_eq!(ObjectName::of_path(&other), None, "{other}");
        }
    }

    #[test]
    fn what_a_crash_leaves_behind_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bucket/report.csv");
        let mut file = Unfinished::open(path.clone(), 0).unwrap().unwrap();
        file.push("one,");
        let saved = file.save().unwrap();
        let mut torn = Unfinished::open(path.clone(), saved).unwrap().unwrap();
        torn.push("torn");
        torn.flush().unwrap();
        drop(torn);
        let mut file = Unfinished::open(path.clone(), saved).unwrap().unwrap();
        assert_eq!(file.length(), 4);
        file.push("two");
        assert!(!path.exists());
        file.complete().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one,two");
        assert!(Unfinished::open(path.clone(), saved).unwrap().is_none());
        fs::remove_file(&path).unwrap();
        // What was written before is gone: it begins anew.
        let anew = Unfinished::open(path, saved).unwrap().unwrap();
        assert_eq!(anew.length(), 0);
    }
}
