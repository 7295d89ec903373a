/// Images with layers that no tool would write.
mod made;

/// The unpacked tree is the tree that was built: as root, under pseudo and fakeroot, as an ordinary user, and compared
/// with umoci.
mod round_trip;

/// Layers are applied as the image-spec says.
mod layers;

/// Nothing outside is touched, whatever the layers hold.
mod hostile;

/// A failed run leaves nothing, however it failed.
mod failures;

/// What an ordinary user is not allowed to set is left out and listed.
mod rootless;

/// Attributes that cannot be set, and those that would be inherited.
mod attributes;

/// Runtimes accept a bundle.
mod bundle;
