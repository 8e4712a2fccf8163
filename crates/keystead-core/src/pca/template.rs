//! Certificate templates (user guide, "AWS Private CA template definitions" and "template
//! varieties").

use super::state::Command;
use crate::error::{Error, ErrorKind, Result};

/// What a certificate is for, and who may add to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// What the template itself fixes.
    pub body: Body,
    /// What else may come in.
    pub passthrough: Passthrough,
}

/// What a template fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// EndEntityCertificate: TLS servers and clients.
    EndEntity,
    /// EndEntityClientAuthCertificate.
    ClientAuth,
    /// EndEntityServerAuthCertificate.
    ServerAuth,
    /// CodeSigningCertificate.
    CodeSigning,
    /// OCSPSigningCertificate.
    OcspSigning,
    /// RootCACertificate.
    Root,
    /// SubordinateCACertificate_PathLenN.
    Subordinate {
        /// N.
        path_len: u8,
    },
    /// BlankEndEntityCertificate: basic constraints and key identifiers only.
    BlankEndEntity {
        /// Whether basic constraints are critical.
        critical_basic_constraints: bool,
    },
    /// BlankRootCACertificate, with or without _PathLenN.
    BlankRoot {
        /// N.
        path_len: Option<u8>,
    },
    /// BlankSubordinateCACertificate_PathLenN.
    BlankSubordinate {
        /// N.
        path_len: u8,
    },
}

/// Where information that the template leaves open may come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passthrough {
    /// The `ApiPassthrough` parameter.
    pub api: bool,
    /// Extensions in the certificate signing request.
    pub csr: bool,
}

impl Template {
    /// The template where none is named (model, `IssueCertificateRequest`).
    pub const DEFAULT: Self = Self {
        body: Body::EndEntity,
        passthrough: Passthrough {
            api: false,
            csr: false,
        },
    };

    /// The template that `arn` names: `arn:aws:acm-pca:::template/NAME/V1`, in any partition.
    /// Refuses every other text with [`ErrorKind::InvalidArgs`].
    pub fn parse(arn: &str) -> Result<Self> {
        let mut parts = arn.splitn(6, ':');
        let head = [
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ];
        let name = match head {
            [Some("arn"), Some(_), Some("acm-pca"), Some(""), Some("")] => parts
                .next()
                .and_then(|resource| resource.strip_prefix("template/"))
                .and_then(|name| name.strip_suffix("/V1")),
            _ => None,
        };
        name.and_then(Self::named).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgs,
                format!("The template ARN '{arn}' is not valid: it names no certificate template."),
            )
        })
    }

    /// Its ARN, in the partition `aws`.
    pub fn arn(self) -> String {
        let variety = match self.passthrough {
            Passthrough {
                api: false,
                csr: false,
            } => "",
            Passthrough {
                api: true,
                csr: false,
            } => "_APIPassthrough",
            Passthrough {
                api: false,
                csr: true,
            } => "_CSRPassthrough",
            Passthrough {
                api: true,
                csr: true,
            } => "_APICSRPassthrough",
        };
        format!(
            "arn:aws:acm-pca:::template/{}{variety}/V1",
            self.body.name()
        )
    }

    /// The template of this name, without its version.
    fn named(name: &str) -> Option<Self> {
        let (body, passthrough) = match name.rsplit_once('_') {
            Some((body, "APIPassthrough")) => (
                body,
                Passthrough {
                    api: true,
                    csr: false,
                },
            ),
            Some((body, "CSRPassthrough")) => (
                body,
                Passthrough {
                    api: false,
                    csr: true,
                },
            ),
            Some((body, "APICSRPassthrough")) => (
                body,
                Passthrough {
                    api: true,
                    csr: true,
                },
            ),
            _ => (name, Passthrough::default()),
        };
        let body = Body::named(body)?;
        let template = Self { body, passthrough };
        template.exists().then_some(template)
    }

    /// AWS makes no root from what a request asks for, and nothing blank without a passthrough.
    fn exists(self) -> bool {
        let Passthrough { api, csr } = self.passthrough;
        match self.body {
            Body::Root => !csr,
            Body::BlankRoot { .. } => api && !csr,
            Body::BlankEndEntity { .. } | Body::BlankSubordinate { .. } => api || csr,
            _ => true,
        }
    }

    /// Whether who has an authority of another account may issue by it (user guide, "Resource-based policies": the
    /// templates to which cross-account issuers have access).
    pub fn is_for_other_accounts(self) -> bool {
        let Passthrough { api, csr } = self.passthrough;
        match self.body {
            Body::EndEntity | Body::ClientAuth | Body::ServerAuth => !api && !csr,
            Body::BlankEndEntity {
                critical_basic_constraints: false,
            } => api,
            Body::Subordinate { path_len: 0 } => !api && !csr,
            _ => false,
        }
    }

    /// Whether the authority signs its own certificate by it.
    pub fn is_root(self) -> bool {
        matches!(self.body, Body::Root | Body::BlankRoot { .. })
    }

    /// What issuing by it asks of the authority.
    pub fn command(self) -> Command {
        if self.is_root() {
            Command::IssueOwn
        } else {
            Command::Issue
        }
    }

    /// For an authority's certificate: `Some` of how many authorities may follow it, where that
    /// is limited.
    pub fn path_len(self) -> Option<Option<u8>> {
        match self.body {
            Body::Root => Some(None),
            Body::BlankRoot { path_len } => Some(path_len),
            Body::Subordinate { path_len } | Body::BlankSubordinate { path_len } => {
                Some(Some(path_len))
            }
            _ => None,
        }
    }
}

impl Body {
    /// What [`Self::named`] reads.
    fn name(self) -> String {
        let fixed = match self {
            Self::EndEntity => "EndEntityCertificate",
            Self::ClientAuth => "EndEntityClientAuthCertificate",
            Self::ServerAuth => "EndEntityServerAuthCertificate",
            Self::CodeSigning => "CodeSigningCertificate",
            Self::OcspSigning => "OCSPSigningCertificate",
            Self::Root => "RootCACertificate",
            Self::BlankEndEntity {
                critical_basic_constraints: false,
            } => "BlankEndEntityCertificate",
            Self::BlankEndEntity {
                critical_basic_constraints: true,
            } => "BlankEndEntityCertificate_CriticalBasicConstraints",
            Self::BlankRoot { path_len: None } => "BlankRootCACertificate",
            Self::BlankRoot {
                path_len: Some(path_len),
            } => return format!("BlankRootCACertificate_PathLen{path_len}"),
            Self::Subordinate { path_len } => {
                return format!("SubordinateCACertificate_PathLen{path_len}");
            }
            Self::BlankSubordinate { path_len } => {
                return format!("BlankSubordinateCACertificate_PathLen{path_len}");
            }
        };
        fixed.to_owned()
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "EndEntityCertificate" => Self::EndEntity,
            "EndEntityClientAuthCertificate" => Self::ClientAuth,
            "EndEntityServerAuthCertificate" => Self::ServerAuth,
            "CodeSigningCertificate" => Self::CodeSigning,
            "OCSPSigningCertificate" => Self::OcspSigning,
            "RootCACertificate" => Self::Root,
            "BlankEndEntityCertificate" => Self::BlankEndEntity {
                critical_basic_constraints: false,
            },
            "BlankEndEntityCertificate_CriticalBasicConstraints" => Self::BlankEndEntity {
                critical_basic_constraints: true,
            },
            "BlankRootCACertificate" => Self::BlankRoot { path_len: None },
            _ => return Self::with_path_len(name),
        })
    }

    fn with_path_len(name: &str) -> Option<Self> {
        let (body, number) = name.rsplit_once("_PathLen")?;
        let path_len = match number {
            "0" => 0,
            "1" => 1,
            "2" => 2,
            "3" => 3,
            _ => return None,
        };
        match body {
            "SubordinateCACertificate" => Some(Self::Subordinate { path_len }),
            "BlankSubordinateCACertificate" => Some(Self::BlankSubordinate { path_len }),
            "BlankRootCACertificate" => Some(Self::BlankRoot {
                path_len: Some(path_len),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every template that the user guide lists.
    fn listed() -> Vec<String> {
        let mut names = Vec::new();
        let variants = [
            "",
            "_APIPassthrough",
            "_CSRPassthrough",
            "_APICSRPassthrough",
        ];
        for base in [
            "CodeSigningCertificate",
            "EndEntityCertificate",
            "EndEntityClientAuthCertificate",
            "EndEntityServerAuthCertificate",
            "OCSPSigningCertificate",
        ] {
            names.extend(variants.iter().map(|variant| format!("{base}{variant}")));
        }
        for path_len in 0..=3 {
            for variant in variants {
                names.push(format!(
                    "SubordinateCACertificate_PathLen{path_len}{variant}"
                ));
            }
            for variant in &variants[1..] {
                names.push(format!(
                    "BlankSubordinateCACertificate_PathLen{path_len}{variant}"
                ));
            }
            names.push(format!(
                "BlankRootCACertificate_PathLen{path_len}_APIPassthrough"
            ));
        }
        for variant in &variants[1..] {
            names.push(format!("BlankEndEntityCertificate{variant}"));
            names.push(format!(
                "BlankEndEntityCertificate_CriticalBasicConstraints{variant}"
            ));
        }
        names.extend(
            [
                "RootCACertificate",
                "RootCACertificate_APIPassthrough",
                "BlankRootCACertificate_APIPassthrough",
            ]
            .map(String::from),
        );
        names
    }

    #[test]
    fn every_listed_template_is_known() {
        let names = listed();
        let mut seen = Vec::new();
        for name in &names {
            let arn = format!("arn:aws:acm-pca:::template/{name}/V1");
            let template = Template::parse(&arn).unwrap();
            assert_eq!(template.arn(), arn);
            assert!(!seen.contains(&template), "{name} is another one too");
            seen.push(template);
        }
        let gov = Template::parse("arn:aws-us-gov:acm-pca:::template/EndEntityCertificate/V1");
        assert_eq!(gov, Ok(Template::DEFAULT));
    }

    #[test]
    fn few_are_for_other_accounts() {
        let mut shared = listed();
        shared.retain(|name| Template::named(name).unwrap().is_for_other_accounts());
        shared.sort();
        assert_eq!(
            shared,
            [
                "BlankEndEntityCertificate_APICSRPassthrough",
                "BlankEndEntityCertificate_APIPassthrough",
                "EndEntityCertificate",
                "EndEntityClientAuthCertificate",
                "EndEntityServerAuthCertificate",
                "SubordinateCACertificate_PathLen0",
            ]
        );
    }

    #[test]
    fn others_are_refused() {
        for arn in [
            "arn:aws:acm-pca:::template/Unknown/V1",
            "arn:aws:acm-pca:::template/EndEntityCertificate/V2",
            "arn:aws:acm-pca:::template/EndEntityCertificate",
            "arn:aws:acm-pca:us-east-1::template/EndEntityCertificate/V1",
            "arn:aws:acm:::template/EndEntityCertificate/V1",
            "arn:aws:acm-pca:::template/RootCACertificate_CSRPassthrough/V1",
            "arn:aws:acm-pca:::template/BlankEndEntityCertificate/V1",
            "arn:aws:acm-pca:::template/BlankRootCACertificate/V1",
            "arn:aws:acm-pca:::template/SubordinateCACertificate/V1",
            "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen4/V1",
            "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen+1/V1",
            "EndEntityCertificate/V1",
            "",
        ] {
            let refused = Template::parse(arn).map_err(|error| error.kind);
            assert_eq!(refused, Err(ErrorKind::InvalidArgs), "{arn}");
        }
    }

    #[test]
    fn path_lengths() {
        let path_len = |name: &str| Template::named(name).unwrap().path_len();
        assert_eq!(path_len("RootCACertificate"), Some(None));
        assert_eq!(
            path_len("SubordinateCACertificate_PathLen2_CSRPassthrough"),
            Some(Some(2))
        );
        assert_eq!(
            path_len("BlankRootCACertificate_PathLen1_APIPassthrough"),
            Some(Some(1))
        );
        assert_eq!(path_len("EndEntityCertificate"), None);
        assert!(
            Template::named("BlankRootCACertificate_APIPassthrough")
                .unwrap()
                .is_root()
        );
    }
}
