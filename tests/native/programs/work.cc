// Known shares of CPU time, in C++: names that the compiler makes long.
#include "clock.h"

namespace shapes {

template <typename T>
struct Grid {
    __attribute__((noinline)) T area(long n) const {
        volatile T sum = 0;  // what has nothing on the stack gets no frame pointer either
        for (long i = 0; i < n; i++) sum = sum + static_cast<T>(i);
        return sum;
    }
};

struct Shape {
    virtual ~Shape() = default;
    virtual double area(long n) const = 0;
};

struct Circle : Shape {
    __attribute__((noinline)) double area(long n) const override { return Grid<double>().area(n) + 1; }
};

__attribute__((noinline)) int operator+(const Circle &circle, long n) {
    return static_cast<int>(circle.area(n)) + 1;
}

}  // namespace shapes

namespace {

volatile double result;
shapes::Circle circle;

__attribute__((noinline)) void sixty(long n) {
    result = shapes::Grid<int>().area(6 * n);
}
__attribute__((noinline)) void thirty(long n) {
    result = static_cast<const shapes::Shape &>(circle).area(3 * n);
}
__attribute__((noinline)) void ten(long n) {
    result = circle + n;
}

void *work(void *) {
    struct account *of[] = {account("sixty"), account("thirty"), account("ten")};
    unsigned state = 1;
    for (;;) {
        timed(of[0], sixty, uneven(20000, &state));
        timed(of[1], thirty, uneven(20000, &state));
        timed(of[2], ten, uneven(20000, &state));
    }
    return nullptr;
}

}  // namespace

int main() {
    open_accounts();
    return serve_accounts(work);
}
