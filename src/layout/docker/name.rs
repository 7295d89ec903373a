//! Names of images as Docker writes them, short or whole: `app`, `team/app:v2`, `docker.io/library/app:latest`.

/// The whole form of a name: registry, repository and tag. Docker means `docker.io`, `library/` and `:latest` where
/// they are left out, so two names are one if their whole forms are.
pub(in crate::layout) fn whole_name(name: &str) -> String {
    let (registry, repository) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (DOCKER_HUB, name),
    };
    let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
    let library = if registry == DOCKER_HUB && !repository.contains('/') { "library/" } else { "" };
    // A colon before the last slash belongs to a registry's port.
    let last = repository.rsplit('/').next().unwrap_or_default();
    let tag = if last.contains([':', '@']) { "" } else { ":latest" };
    format!("{registry}/{library}{repository}{tag}")
}

const DOCKER_HUB: &str = "docker.io";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_put_in() {
        for (name, whole) in [
            ("app", "docker.io/library/app:latest"),
            ("app:v2", "docker.io/library/app:v2"),
            ("team/app", "docker.io/team/app:latest"),
            ("docker.io/app:v2", "docker.io/library/app:v2"),
            ("docker.io/library/app:v2", "docker.io/library/app:v2"),
            ("index.docker.io/team/app", "docker.io/team/app:latest"),
            ("localhost/app", "localhost/app:latest"),
            ("registry:5000/app", "registry:5000/app:latest"),
            ("registry:5000/team/app:v2", "registry:5000/team/app:v2"),
            ("quay.io/team/app@sha256:00", "quay.io/team/app@sha256:00"),
        ] {
            assert_eq!(whole_name(name), whole, "{name}");
            assert_eq!(whole_name(whole), whole);
        }
    }
}
