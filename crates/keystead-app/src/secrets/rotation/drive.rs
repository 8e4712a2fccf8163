//! Rotations under way: the task that carries one on until it waits or ends.
//!
//! What is next is decided by `keystead_core::rotation::next`; here it is done. A step reads the secret again after every
//! commit, and each commit leaves the due-queue as the record says, so that a step that dies anywhere is taken up again.

mod pair;

pub(super) use pair::Asked;

use std::sync::Arc;

use jiff::Timestamp;
use keystead_core::rotation::{
    CANDIDATE_RANDOM, Change, Credential, Deed, Failure, Heard, Job, Label, Login, Move, Phase,
    Place, Rotator, Run, Seen, Sight, Wanted, With, candidate, next,
};
use keystead_core::secrets::{CURRENT, PENDING, PREVIOUS, Secret, Select, Version};
use keystead_core::{AccountId, Region, Result};
use keystead_crypto::random;
use keystead_store::{Batch, Lease};
use zeroize::Zeroizing;

use super::draw;
use super::names::rotator;
use crate::secrets::internal::Work;
use crate::tasks::Outcome;
use crate::{App, ids};

/// Does what is due for the secret of this lease.
pub(crate) async fn carry_on(app: &Arc<App>, lease: &Lease) -> Result<Outcome> {
    let Some(place) = Whose::parse(lease.id()) else {
        return Ok(Outcome::Finished);
    };
    let Some(work) = place.work(app).await? else {
        return Ok(Outcome::Finished);
    };
    let now = app.env.now();
    let rotation = &work.secret().rotation;
    match rotation.due() {
        Some(due) if due <= now && work.secret().deletion.is_none() => {}
        // It was moved since: the queue has another item by now.
        _ => return Ok(Outcome::Finished),
    }
    if rotation.run.is_none() {
        let Some(work) = pair::outdated(app, work, now).await? else {
            return Ok(Outcome::Settled);
        };
        let version = ids::uuid()?;
        let teller = work.teller();
        work.change(Batch::new(), |secret| secret.begin_rotation(&version, now))
            .await?;
        teller.tell("RotationStarted", None).await?;
    }
    Step::new(app, place).run().await?;
    Ok(Outcome::Settled)
}

/// A secret by its place in the store.
struct Whose {
    account: AccountId,
    region: Region,
    name: String,
}

impl Whose {
    fn parse(place: &str) -> Option<Self> {
        let mut parts = place.splitn(3, '/');
        Some(Self {
            account: AccountId::parse(parts.next()?).ok()?,
            region: Region::parse(parts.next()?).ok()?,
            name: parts.next()?.to_owned(),
        })
    }

    async fn work(&self, app: &Arc<App>) -> Result<Option<Work>> {
        Work::on(app, &self.account, &self.region, &self.name).await
    }
}

/// A step of a rotation, up to its wait or end.
struct Step<'a> {
    app: &'a Arc<App>,
    whose: Whose,
    seen: Seen,
    /// The credentials as they were read, with the versions that they are of.
    known: Option<(Vec<Version>, Arc<Known>)>,
    /// Why the last visit ended as it did, for the log.
    cause: String,
}

/// Whether the step goes on.
enum Then {
    GoOn,
    Stop,
}

impl<'a> Step<'a> {
    fn new(app: &'a Arc<App>, whose: Whose) -> Self {
        Self {
            app,
            whose,
            seen: Seen::default(),
            known: None,
            cause: String::new(),
        }
    }

    async fn run(mut self) -> Result<()> {
        let mut resumed: Option<Run> = None;
        for _ in 0..MOST_MOVES {
            let Some(work) = self.whose.work(self.app).await? else {
                return Ok(());
            };
            let Some(stored) = work.secret().rotation.run.clone() else {
                return Ok(());
            };
            // What is known beyond what is stored counts as long as it is of the same rotation.
            let mut run = match resumed.take() {
                Some(run) if run.version == stored.version => run,
                _ => {
                    let mut run = stored;
                    run.resume();
                    run
                }
            };
            let then = self.move_on(work, &mut run).await?;
            if matches!(then, Then::Stop) {
                return Ok(());
            }
            resumed = Some(run);
        }
        Ok(())
    }

    async fn move_on(&mut self, work: Work, run: &mut Run) -> Result<Then> {
        let now = self.app.env.now();
        if let Some(current) = work.secret().labelled(CURRENT)
            && current.id == run.version
        {
            // Somebody has finished it by hand.
            return self.finish(work, now).await;
        }
        if pair::follows(self.app, work.secret()) {
            return self.take_pair(work, run, now).await;
        }
        let known = match self.known(&work, run).await? {
            Ok(known) => known,
            Err(cause) => {
                self.cause = cause;
                return self.wait(work, run, Failure::Unusable, now).await;
            }
        };
        let authority = known.rotator.authority(known.administrator.is_some());
        match next(run, authority, &self.seen, now) {
            Move::Create => self.create(work, run, &known, now).await,
            Move::Try(label) => {
                let sight = self.attempt(&known, label).await;
                self.seen.put(label, sight);
                Ok(Then::GoOn)
            }
            Move::Announce => {
                run.sending(now);
                self.keep(work, run).await
            }
            Move::Set(with) => {
                let change = self.set(&known, with).await;
                if change != Change::Unknown {
                    run.answered();
                }
                self.seen.change = Some((with, change));
                Ok(Then::GoOn)
            }
            Move::Enter(phase) => {
                run.enter(phase);
                self.seen = Seen::default();
                self.keep(work, run).await
            }
            Move::Finish => self.finish(work, now).await,
            Move::Discard => self.discard(work, run, now).await,
            Move::Wait(failure) => self.wait(work, run, failure, now).await,
            Move::End => self.end(work, |secret, _| secret.end_run(now)).await,
        }
    }

    /// Every reading of a value is a use of its KMS key, with its event: they are read anew only where versions changed.
    async fn known(&mut self, work: &Work, run: &Run) -> Result<Result<Arc<Known>, String>> {
        let versions = &work.secret().versions;
        if let Some((of, known)) = &self.known
            && of == versions
        {
            return Ok(Ok(Arc::clone(known)));
        }
        let read = Known::read(self.app, work, run).await?;
        Ok(read.map(|known| {
            let known = Arc::new(known);
            self.known = Some((versions.clone(), Arc::clone(&known)));
            known
        }))
    }

    async fn create(
        &mut self,
        work: Work,
        run: &mut Run,
        known: &Known,
        now: Timestamp,
    ) -> Result<Then> {
        let password = candidate(&random::bytes::<CANDIDATE_RANDOM>()?);
        let text = known.current.with(&known.user, &password);
        run.created(now);
        let stored = run.clone();
        let labels = [PENDING.to_owned()];
        work.put(&run.version, &text, &labels, Batch::new(), |secret| {
            secret.rotation.run = Some(stored);
        })
        .await?;
        self.seen = Seen::default();
        Ok(Then::GoOn)
    }

    async fn attempt(&mut self, known: &Known, label: Label) -> Sight {
        let Some(credential) = known.of(label) else {
            return Sight::Absent;
        };
        let deed = Deed::Try(login(credential));
        self.visit(known, credential, deed).await.sight()
    }

    async fn set(&mut self, known: &Known, with: With) -> Change {
        let by = match with {
            With::Label(label) => known.of(label).map(login),
            With::Administrator => known.administrator.as_ref().map(login),
            With::Operator => None,
        };
        let Some(pending) = &known.pending else {
            return Change::NotPermitted;
        };
        let alternates = matches!(known.rotator, Rotator::Alternating(_));
        let deed = Deed::Set(Wanted {
            by,
            login: login(pending),
            like: alternates.then(|| known.current.username.clone()),
            keep: (!alternates).then(|| known.current.password.clone()),
        });
        self.visit(known, pending, deed).await.outcome
    }

    async fn visit(&mut self, known: &Known, credential: &Credential, deed: Deed) -> Heard {
        let job = Job {
            rotator: known.rotator.clone(),
            place: Place {
                host: credential.host.clone().unwrap_or_default(),
                port: credential.port,
                database: credential.database.clone(),
                tls: credential.tls,
            },
            deed,
        };
        let heard = (self.app.rotators.visit)(job).await;
        self.cause.clone_from(&heard.cause);
        heard
    }

    /// Stores how far it is.
    async fn keep(&self, work: Work, run: &Run) -> Result<Then> {
        let run = run.clone();
        work.change(Batch::new(), |secret| {
            secret.rotation.run = Some(run);
            Ok(())
        })
        .await?;
        Ok(Then::GoOn)
    }

    async fn discard(&mut self, work: Work, run: &mut Run, now: Timestamp) -> Result<Then> {
        let alarm = run.discard(now, draw()?);
        self.seen = Seen::default();
        if run.failure.is_some() {
            self.report(&work, run, alarm).await?;
        }
        let (stored, version) = (run.clone(), run.version.clone());
        work.change(Batch::new(), |secret| {
            secret.forget_value(&version);
            secret.rotation.run = Some(stored);
            Ok(())
        })
        .await?;
        Ok(match run.retry_at > now {
            true => Then::Stop,
            false => Then::GoOn,
        })
    }

    async fn wait(
        &mut self,
        work: Work,
        run: &mut Run,
        failure: Failure,
        now: Timestamp,
    ) -> Result<Then> {
        let alarm = run.failed(failure, now, draw()?);
        self.report(&work, run, alarm).await?;
        if alarm && run.phase == Phase::Check {
            // It is told; whoever asked may ask again.
            return self.end(work, |secret, _| secret.end_run(now)).await;
        }
        self.keep(work, run).await?;
        Ok(Then::Stop)
    }

    async fn finish(&self, work: Work, now: Timestamp) -> Result<Then> {
        let teller = work.teller();
        let then = self
            .end(work, |secret, random| secret.finish_rotation(now, random))
            .await?;
        metrics::counter!("keystead_rotations_total").increment(1);
        teller.tell("RotationSucceeded", None).await?;
        Ok(then)
    }

    /// Ends the rotation in one commit.
    async fn end(
        &self,
        work: Work,
        edit: impl FnOnce(&mut Secret, u64) -> Result<()>,
    ) -> Result<Then> {
        let random = draw()?;
        work.change(Batch::new(), |secret| edit(secret, random))
            .await?;
        Ok(Then::Stop)
    }

    async fn report(&self, work: &Work, run: &Run, alarm: bool) -> Result<()> {
        let Some(failure) = run.failure else {
            return Ok(());
        };
        let (secret, cause, retry_at) = (&self.whose.name, &self.cause, run.retry_at);
        metrics::counter!("keystead_rotations_failed_total").increment(1);
        if !alarm {
            tracing::warn!(%secret, %failure, %cause, %retry_at, "a rotation waits");
            return Ok(());
        }
        tracing::error!(
            %secret, %failure, %cause, %retry_at, since = %run.begun_at,
            "a secret can't be rotated; it is tried on, but somebody should look"
        );
        let cause = format!("{failure}: {cause}");
        work.teller().tell("RotationFailed", Some(&cause)).await
    }
}

/// What a rotation works with: what rotates, and the credentials.
struct Known {
    rotator: Rotator,
    current: Credential,
    pending: Option<Credential>,
    previous: Option<Credential>,
    administrator: Option<Credential>,
    /// The user whose password changes.
    user: String,
}

impl Known {
    /// Reads it all. The inner refusal is what the secret's owner has to put right.
    async fn read(app: &Arc<App>, work: &Work, run: &Run) -> Result<Result<Self, String>> {
        let secret = work.secret();
        let function = secret.rotation.function.as_deref().unwrap_or_default();
        let Some(rotator) = rotator(app, &secret.account, &secret.region, function) else {
            return Ok(Err(format!("there is no function {function}")));
        };
        let engine = rotator.engine();
        let Some(current) = text(work, Select::label(CURRENT)).await? else {
            return Ok(Err("the secret has no current value".into()));
        };
        let current = match Credential::parse(&current, engine) {
            Ok(current) => current,
            Err(cause) => return Ok(Err(cause)),
        };
        let user = match (&rotator, engine) {
            (Rotator::Alternating(_), Some(engine)) => match current.other_user(engine) {
                Ok(user) => user,
                Err(cause) => return Ok(Err(cause)),
            },
            _ => current.username.clone(),
        };
        let administrator = match administrator(app, secret, &current, &rotator).await? {
            Ok(administrator) => administrator,
            Err(cause) => return Ok(Err(cause)),
        };
        // What can't be read of the others can't log in either.
        let pending = text(work, Select::id(&run.version)).await?;
        let previous = text(work, Select::label(PREVIOUS)).await?;
        let parse = |text: Option<Zeroizing<String>>| {
            text.and_then(|text| Credential::parse(&text, engine).ok())
        };
        // A candidate for another user is one from before the current version was replaced by hand.
        let pending = parse(pending).filter(|pending| pending.username == user);
        // A password goes to its own server, and not to one that the secret names since.
        let previous = parse(previous)
            .filter(|previous| engine.is_none_or(|engine| previous.same_server(&current, engine)));
        Ok(Ok(Self {
            pending,
            previous,
            rotator,
            current,
            administrator,
            user,
        }))
    }

    fn of(&self, label: Label) -> Option<&Credential> {
        match label {
            Label::Current => Some(&self.current),
            Label::Pending => self.pending.as_ref(),
            Label::Previous => self.previous.as_ref(),
        }
    }
}

/// The administrator's credential, where the secret names one: the one that was allowed when rotation was turned on, of the
/// same server.
async fn administrator(
    app: &Arc<App>,
    secret: &Secret,
    current: &Credential,
    rotator: &Rotator,
) -> Result<Result<Option<Credential>, String>> {
    let refused = |cause: &str| Ok(Err(cause.to_owned()));
    let Some(engine) = rotator.engine() else {
        return Ok(Ok(None));
    };
    let Some(arn) = &current.administrator else {
        return match rotator {
            Rotator::Alternating(_) => {
                refused("the secret names no administrator's secret (masterarn)")
            }
            _ => Ok(Ok(None)),
        };
    };
    if secret.rotation.administrator.as_ref() != Some(arn) {
        return refused(
            "the secret names another administrator's secret than when rotation was turned on: name that one, or turn rotation off and on again",
        );
    }
    let Some(work) = Work::named(app, &secret.account, &secret.region, arn).await? else {
        return refused("the administrator's secret is not there");
    };
    let Some(text) = text(&work, Select::label(CURRENT)).await? else {
        return refused("the administrator's secret has no value");
    };
    let administrator = match Credential::parse(&text, Some(engine)) {
        Ok(administrator) => administrator,
        Err(cause) => return Ok(Err(format!("of the administrator: {cause}"))),
    };
    match administrator.same_server(current, engine) {
        true => Ok(Ok(Some(administrator))),
        false => refused("the administrator's secret is of another server (host and port)"),
    }
}

/// The text of a version; `None` where it has none.
async fn text(work: &Work, select: Select<'_>) -> Result<Option<Zeroizing<String>>> {
    if work.secret().select(select).is_err() {
        return Ok(None);
    }
    let bytes = work.value(select).await?;
    Ok(String::from_utf8(bytes.to_vec()).ok().map(Zeroizing::new))
}

fn login(credential: &Credential) -> Login {
    Login {
        user: credential.username.clone(),
        password: credential.password.clone(),
    }
}

/// Twice what the longest road takes: three looks, a change, a test and their commits.
const MOST_MOVES: usize = 64;
