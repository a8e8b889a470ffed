# One line of the memory table; see data/memory.yaml.
type Profile::Share = Struct[{
    least            => Integer[0],
    percent          => Numeric,
    most             => Integer[0],
    beside           => Integer[0],
    Optional[limit]  => Boolean,
}]
