use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::*;

fn file(path: &Path, content: &str) -> File {
    File {
        path: path.to_owned(),
        owner: None,
        group: None,
        mode: 0o640,
        content: Bytes::from(content.as_bytes().to_vec()),
    }
}

fn private() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn never(_: &'static str) -> io::Result<()> {
    Ok(())
}

#[test]
fn a_set_that_fails_at_any_step_leaves_old_or_new_files_and_nothing_else() {
    for failing in 0.. {
        let dir = private();
        let old: Vec<File> = ["a", "b", "c"]
            .iter()
            .map(|name| file(&dir.path().join(name), "old"))
            .collect();
        place(&old, &never).unwrap();
        let new: Vec<File> = old.iter().map(|one| file(&one.path, "new")).collect();
        let left = Cell::new(failing);
        let renames = Cell::new(0);
        let before = |step: &'static str| {
            if left.get() == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            left.set(left.get() - 1);
            renames.set(renames.get() + usize::from(step == "rename"));
            Ok(())
        };
        let outcome = place(&new, &before);
        assert_eq!(names(dir.path()), ["a", "b", "c"], "step {failing}");
        let placed = new.iter().filter(|one| is_placed(one)).count();
        let kept = old.iter().filter(|one| is_placed(one)).count();
        assert_eq!((placed, kept), (renames.get(), 3 - renames.get()));
        let Err(error) = outcome else {
            assert_eq!(failing, 15);
            break;
        };
        assert_eq!(error.untouched, placed == 0);
        place(&old, &never).unwrap();
        assert!(old.iter().all(is_placed));
    }
}

#[test]
fn a_file_has_its_owner_group_and_mode_before_its_first_byte() {
    let dir = private();
    let path = dir.path().join("key");
    let mut wanted = file(&path, "secret");
    // Whoever may change owners does.
    if rustix::process::geteuid().is_root() {
        (wanted.owner, wanted.group) = (Some(12_345), Some(12_346));
    }
    let temporary = dir.path().join(".key.keystead-new");
    fs::write(&temporary, "left by a kill, readable by all").unwrap();
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o666)).unwrap();
    let before = |step: &'static str| {
        let seen = fs::metadata(&temporary);
        match step {
            "own" => assert_eq!(seen.unwrap().mode() & 0o777, 0o600),
            "write" => {
                let seen = seen.unwrap();
                assert_eq!((seen.mode() & 0o7777, seen.len()), (0o640, 0));
                assert!(wanted.owner.is_none_or(|owner| seen.uid() == owner));
                assert!(wanted.group.is_none_or(|group| seen.gid() == group));
            }
            _ => {}
        }
        Ok(())
    };
    place(std::slice::from_ref(&wanted), &before).unwrap();
    assert!(is_placed(&wanted));
    let mut other = wanted.clone();
    other.mode = 0o600;
    assert!(!is_placed(&other));
}

#[test]
fn what_is_a_link_is_replaced_and_not_written_through() {
    let dir = private();
    let (precious, path) = (dir.path().join("precious"), dir.path().join("tls.pem"));
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, &path).unwrap();
    symlink(&precious, dir.path().join(".tls.pem.keystead-new")).unwrap();
    let wanted = file(&path, "new");
    assert!(!is_placed(&wanted));
    place(std::slice::from_ref(&wanted), &never).unwrap();
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    assert!(fs::symlink_metadata(&path).unwrap().is_file() && is_placed(&wanted));
}

#[test]
fn a_directory_that_others_decide_about_is_refused() {
    let dir = private();
    let deep = dir.path().join("one/two");
    fs::create_dir_all(&deep).unwrap();
    let wanted = file(&deep.join("key"), "secret");
    let told = || {
        let outcome = place(std::slice::from_ref(&wanted), &never);
        outcome.err().map(|error| error.why.to_string())
    };
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (path, bits, refused) in [
        (deep.as_path(), 0o777, true),
        (&deep, 0o770, true),
        // Others can't move what is there, but could have put it there.
        (&deep, 0o1777, true),
        (&deep, 0o755, false),
        (&dir.path().join("one"), 0o777, true),
        (&dir.path().join("one"), 0o1777, false),
        (&dir.path().join("one"), 0o755, false),
    ] {
        mode(path, bits);
        let told = told();
        assert_eq!(told.is_some(), refused, "{bits:o}: {told:?}");
        assert!(told.is_none_or(|told| told.contains("can be written to by others")));
    }
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&deep, Some(12_345), None).unwrap();
        assert!(told().unwrap().contains("belongs to another user (12345)"));
        let mut theirs = wanted.clone();
        theirs.owner = Some(12_345);
        place(&[theirs], &never).unwrap();
    }
}

#[test]
fn a_link_on_the_way_counts_if_it_is_root_s_or_the_agent_s() {
    let dir = private();
    let real = dir.path().join("real");
    fs::create_dir_all(real.join("tls")).unwrap();
    let link = dir.path().join("link");
    symlink("real/../real", &link).unwrap();
    let wanted = file(&link.join("tls/key"), "secret");
    place(std::slice::from_ref(&wanted), &never).unwrap();
    assert!(real.join("tls/key").is_file() && is_placed(&wanted));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(&link, Some(12_345), None).unwrap();
        let told = place(&[wanted], &never).unwrap_err().why.to_string();
        assert!(told.contains("symbolic link of another user"), "{told}");
    }
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    symlink(&b, &a).unwrap();
    symlink(&a, &b).unwrap();
    let told = place(&[file(&a.join("key"), "x")], &never).unwrap_err();
    assert!(told.why.to_string().contains("too many symbolic links"));
    assert!(place(&[file(Path::new("key"), "x")], &never).is_err());
}
