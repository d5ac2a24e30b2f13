// Something to record: threads, a child that executes this program again, C++ names, library code without frame
// pointers, system calls and page faults.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>
#include <vector>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace work {
volatile uint64_t sink;

double seconds() {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

template <class T> __attribute__((noinline)) T spin(T n) {
    T x = 1;
    for (T i = 0; i < n; i++) x = x * 31 + i;
    return x;
}

struct tree {
    __attribute__((noinline)) uint64_t descend(int depth) const {
        return depth ? descend(depth - 1) + 1 : spin<uint64_t>(2000);
    }
};

__attribute__((noinline)) int compare(const void *a, const void *b) {
    return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

__attribute__((noinline)) void sorting() {
    std::vector<int> numbers(3000);
    for (auto &number : numbers) number = int(spin<unsigned>(4) * unsigned(&number - numbers.data()));
    qsort(numbers.data(), numbers.size(), sizeof(int), compare);
    sink = sink + uint64_t(numbers[7]);
}

__attribute__((noinline)) void faulting() {
    enum { SIZE = 1 << 20 };
    void *memory = mmap(nullptr, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 1, SIZE);
    munmap(memory, SIZE);
}

__attribute__((noinline)) void all(double most) {
    for (double start = seconds(); seconds() - start < most;) {
        sink = sink + spin<unsigned>(20000) + tree().descend(9);
        sorting();
        faulting();
    }
}
} // namespace work

int main(int argc, char **argv) {
    if (argc > 1) return work::all(0.05), 0;
    std::thread other([] { work::all(0.1); });
    pid_t child = fork();
    if (child == 0) {
        work::all(0.05);
        execl(argv[0], argv[0], "again", nullptr);
        _exit(1);
    }
    work::all(0.1);
    other.join();
    int status;
    return waitpid(child, &status, 0) != child || status;
}
