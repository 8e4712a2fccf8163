//! What the disk does to a journal: it tears, fails and hangs.

use super::*;

#[tokio::test]
async fn a_torn_end_is_moved_aside_and_told() {
    let world = World::new();
    let store = world.store().await;
    let journal = Journal::open(world.options(), &store).await.unwrap();
    journal.append(event(1)).await.unwrap();
    journal.close().await.unwrap();
    let path = &world.files()[0];
    let whole = fs::read(path).unwrap();
    let mut torn = Vec::new();
    line::write(
        &mut torn,
        &world.report().last.unwrap(),
        Version(1),
        &event(2),
    );
    // A crash can leave any part of what was written last; a power cut also garbage behind it.
    let mut ends: Vec<Vec<u8>> = (1..torn.len())
        .step_by(7)
        .map(|cut| torn[..cut].to_vec())
        .collect();
    ends.push([&torn[..20], &b"\0\0\0\0\n"[..], &torn].concat());
    for end in ends {
        fs::write(path, [&whole[..], &end].concat()).unwrap();
        let journal = Journal::open(world.options(), &store).await.unwrap();
        journal.append(event(3)).await.unwrap();
        drop(journal);

        let report = world.report();
        assert!(report.is_whole() && !report.unfinished, "{report:?}");
        let events = world.events();
        assert_eq!(numbers(&events), [1, 3], "{} torn bytes", end.len());
        let notice = &events[1];
        assert_eq!(notice["eventName"], "JournalOpened");
        assert_eq!(notice["eventTime"], "1970-01-01T00:00:00Z");
        assert_eq!(notice["serviceEventDetails"]["tornBytes"], end.len());
        let kept = notice["serviceEventDetails"]["tornBytesKeptIn"]
            .as_str()
            .unwrap();
        let kept = world.journal_dir().join(kept);
        assert_eq!(fs::read(&kept).unwrap(), end);
        fs::remove_file(kept).unwrap();
        // The next end is torn off the same journal again, which the store knows to be longer.
        let pin = pin::Pins::new(store.clone());
        pin.write(
            line::Line::parse(whole.strip_suffix(b"\n").unwrap())
                .unwrap()
                .head(),
        )
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_file_with_nothing_whole_in_it_gives_way() {
    let world = World::new();
    world.written(4).await;
    let last = world.files().pop().unwrap();
    for rubbish in ["", "{\"sequ"] {
        let next = segment::Segment::new(&world.journal_dir(), 5).path;
        assert_ne!(next, last);
        fs::write(&next, rubbish).unwrap();
        world.written(0).await;
        let events = world.events();
        assert_eq!(numbers(&events), [1, 2, 3, 4]);
        assert_eq!(events.len(), 4 + usize::from(!rubbish.is_empty()));
        assert!(world.report().is_whole());
    }
}
/// The disk fails at the Nth write, sync or cut, for N = 1, 2, 3...; of a failing write some bytes
/// arrive. What was acknowledged stays; after the disk is well again, events are taken again.
#[tokio::test]
async fn no_failure_of_the_disk_loses_an_acknowledged_event() {
    for sync in [false, true] {
        for step in 1..24 {
            let world = World::new();
            let store = world.store().await;
            let options = world.options().sync(sync).segment_bytes(700);
            let faults = Arc::clone(&options.faults);
            let journal = Journal::open(options, &store).await.unwrap();
            faults.fail_from(step, (step as usize * 37) % 300);
            let mut acknowledged = Vec::new();
            for n in 1..=8 {
                match journal.append(event(n)).await {
                    Ok(()) => acknowledged.push(n),
                    Err(JournalError::Unavailable(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            faults.heal();
            // The disk is well, but the next try of a failed sync is a moment away.
            let mut last = journal.append(event(100)).await;
            while let Err(JournalError::Unavailable(_)) = last {
                tokio::task::yield_now().await;
                last = journal.append(event(100)).await;
            }
            last.unwrap();
            acknowledged.push(100);
            drop(journal);

            let report = world.report();
            assert!(
                report.is_whole() && !report.unfinished,
                "step {step}: {report:?}"
            );
            let found = numbers(&world.events());
            let mut missing = acknowledged.clone();
            missing.retain(|n| !found.contains(n));
            assert!(missing.is_empty(), "step {step}: {missing:?} of {found:?}");
        }
    }
}

/// Whoever finds the disk hanging is held by it; everybody else is told within the deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_hangs_is_an_error_within_the_deadline() {
    let world = World::new();
    let store = world.store().await;
    let mut options = world.options();
    options.deadline = Duration::from_millis(50);
    let faults = Arc::clone(&options.faults);
    let journal = Journal::open(options, &store).await.unwrap();
    journal.append(event(1)).await.unwrap();
    faults.hang();
    let mut appends = tokio::task::JoinSet::new();
    for n in 2..5 {
        let journal = journal.clone();
        appends.spawn(async move { journal.append(event(n)).await });
    }
    for _ in 0..2 {
        let error = appends.join_next().await.unwrap().unwrap().unwrap_err();
        assert!(error.to_string().contains("50 milliseconds"), "{error}");
    }
    faults.heal();
    assert_eq!(appends.join_next().await.unwrap().unwrap(), Ok(()));
    journal.close().await.unwrap();
    // Those that were told to have failed were tried, and may be there.
    assert!(world.report().is_whole());
    assert_eq!(numbers(&world.events())[0], 1);
}
