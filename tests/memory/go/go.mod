module flamegraph.test/allocate

go 1.19
