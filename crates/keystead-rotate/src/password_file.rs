//! A file of `user:hash` lines, as htpasswd writes and nginx, Apache and others read it.
//!
//! The file is replaced by rename: a reader sees the old one or the new one, whole. Hashes are bcrypt's; what others there are
//! of other users stays as it is. The operator names the file, never a secret.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use keystead_core::rotation::{Change, Deed, Heard, Login};

use crate::limits::{BCRYPT_COST, LARGEST_PASSWORD_FILE};

/// Does one thing to the file.
pub(crate) async fn visit(path: &Path, deed: &Deed) -> Heard {
    let path = path.to_owned();
    let (login, sets) = match deed {
        Deed::Try(login) => (login.clone(), false),
        Deed::Set(wanted) => (wanted.login.clone(), true),
    };
    let done = tokio::task::spawn_blocking(move || match sets {
        false => log_in(&path, &login),
        true => change(&path, &login),
    });
    done.await
        .unwrap_or_else(|error| Heard::new(Change::Unknown, error))
}

fn log_in(path: &Path, login: &Login) -> Heard {
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => return Heard::new(Change::Unreachable, error),
    };
    let hash = text.lines().filter_map(|line| line.split_once(':'));
    let mut hash = hash
        .filter(|(user, _)| *user == login.user)
        .map(|(_, hash)| hash);
    let works = hash.next().is_some_and(|hash| {
        let verified = bcrypt::verify(login.password.as_bytes(), hash);
        verified.unwrap_or(false)
    });
    match works {
        true => Heard::done(),
        false => Heard::new(Change::NotPermitted, "the file has another password"),
    }
}

fn change(path: &Path, login: &Login) -> Heard {
    // What would begin another line, or end the name, is no name of a user.
    if login.user.contains([':', '\n', '\r']) {
        return Heard::new(Change::NotPermitted, "no such name can be in the file");
    }
    let hash = match bcrypt::hash(login.password.as_bytes(), BCRYPT_COST) {
        // htpasswd's own name of the same algorithm, which every reader knows.
        Ok(hash) => hash.replacen("$2b$", "$2y$", 1),
        Err(error) => return Heard::new(Change::Rejected, error),
    };
    let line = format!("{}:{hash}", login.user);
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => return Heard::new(Change::Unreachable, error),
    };
    let mut lines: Vec<&str> = text.lines().collect();
    let is_users = |line: &&&str| {
        line.split_once(':')
            .is_some_and(|(user, _)| user == login.user)
    };
    match lines.iter().position(|line| is_users(&line)) {
        Some(at) => {
            if let Some(there) = lines.get_mut(at) {
                *there = &line;
            }
        }
        None => return Heard::new(Change::NotPermitted, "the file has no such user"),
    }
    match replace(path, &lines) {
        Ok(()) => Heard::done(),
        Err(error) => Heard::new(Change::Unknown, error),
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(LARGEST_PASSWORD_FILE)
        .read_to_string(&mut text)?;
    match u64::try_from(read) {
        Ok(read) if read < LARGEST_PASSWORD_FILE => Ok(text),
        _ => Err(io::Error::other("the file is too large")),
    }
}

/// Writes another file beside it, with the same owner and mode, and puts it in its place.
fn replace(path: &Path, lines: &[&str]) -> io::Result<()> {
    // What a symbolic link points to is replaced, not the link.
    let path = fs::canonicalize(path)?;
    let folder = path
        .parent()
        .ok_or_else(|| io::Error::other("it is no file"))?;
    let there = fs::metadata(&path)?;
    let mut new = tempfile::Builder::new()
        .prefix(".keystead-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    for line in lines {
        writeln!(new, "{line}")?;
    }
    let made = new.as_file().metadata()?;
    if (made.uid(), made.gid()) != (there.uid(), there.gid()) {
        chown(new.path(), Some(there.uid()), Some(there.gid()))?;
    }
    new.as_file().set_permissions(there.permissions())?;
    new.as_file().sync_all()?;
    new.persist(&path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> Login {
        Login {
            user: user.into(),
            password: password.to_owned().into(),
        }
    }

    #[test]
    fn one_users_line_is_replaced_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let old = bcrypt::hash("old", 4).unwrap();
        fs::write(&path, format!("# users\nann:{old}\nbob:$apr1$x$y\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(log_in(&path, &login("ann", "old")), Heard::done());
        assert_eq!(
            log_in(&path, &login("ann", "new")).outcome,
            Change::NotPermitted
        );
        assert_eq!(change(&path, &login("ann", "new")), Heard::done());
        assert_eq!(log_in(&path, &login("ann", "new")), Heard::done());
        assert_eq!(
            log_in(&path, &login("ann", "old")).outcome,
            Change::NotPermitted
        );
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("# users\nann:$2y$08$") && text.ends_with("\nbob:$apr1$x$y\n"),
            "{text}"
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn users_are_neither_made_nor_smuggled_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        assert_eq!(
            log_in(&path, &login("ann", "x")).outcome,
            Change::Unreachable
        );
        assert_eq!(
            change(&path, &login("ann", "x")).outcome,
            Change::Unreachable
        );
        fs::write(&path, "ann:x\n").unwrap();
        for user in ["bob", "ann:x\nbob", "an", ""] {
            assert_eq!(
                change(&path, &login(user, "x")).outcome,
                Change::NotPermitted,
                "{user}"
            );
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "ann:x\n");
    }
}
