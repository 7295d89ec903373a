/// Images of layers that no tool would write.
mod made;

/// What was built comes back as it was: as root, under pseudo and fakeroot, as an ordinary user, and as umoci has it.
mod round_trip;

/// Layers lie over each other as the image-spec says.
mod layers;

/// Nothing outside is touched, whatever the layers hold.
mod hostile;

/// A failed run leaves nothing, however it failed.
mod failures;

/// What an ordinary user must not set is left out and listed.
mod rootless;

/// Attributes that cannot be set, and those that nobody asked for.
mod attributes;

/// A bundle is what a runtime takes.
mod bundle;
