/// Rootfs with packages in them, and what their layers hold.
mod made;

/// However it is split, the layers are the rootfs, from every source and on every base.
mod cut;

/// Adding or removing a recipe leaves everything else unchanged.
mod updates;

/// A plan can be made, is updated from earlier releases, and says what an update costs.
mod plan;

/// Recipes are known from a map and from every kind of database.
mod owners;
