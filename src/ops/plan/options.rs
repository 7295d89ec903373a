//! What `plan` is told.

use crate::error::Result;
use crate::layer::plan::Plan;
use crate::layout::{Image, Layout, Location};
use crate::ops::build::BuildOptions;
use crate::platform::PlatformPattern;
use crate::work::Work;

/// How a plan is made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PlanOptions {
    /// How a rootfs is read, changed, cut and compressed. If it does not say how to cut, that is by `packages`.
    pub build: BuildOptions,
    /// The platform of the images, if there are several.
    pub platform: Option<PlatformPattern>,
    /// A plan to update with what older images tell.
    pub update: Option<Plan>,
    /// Images of earlier releases, the oldest first. The last one was built by the plan that is updated.
    pub old: Vec<Location>,
    /// The older image for which the cost of an update is computed.
    pub simulate: Option<Location>,
}

impl PlanOptions {
    /// Opens an image for the platform.
    pub(super) fn open(&self, location: &Location, work: &Work<'_>) -> Result<(Layout, Image)> {
        let layout = Layout::open(location, work.limits)?;
        let image = layout.image(self.platform.as_ref())?;
        Ok((layout, image))
    }
}
