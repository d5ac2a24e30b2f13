module flamegraph.test/target

go 1.19
