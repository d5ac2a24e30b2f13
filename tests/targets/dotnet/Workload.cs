// The demo workload: four functions whose shapes tell them apart in a picture: a tower, a plateau, a staircase, a step.
// Each call takes a fraction of a millisecond, so that a round can be shared out finely.
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

static class Clock
{
    struct Timespec
    {
        public long Seconds, Nanoseconds;
    }

    const int ThreadCpu = 3;

    [DllImport("libc")]
    static extern int clock_gettime(int clock, out Timespec time);

    // CPU time of the calling thread in milliseconds.
    public static double Cpu()
    {
        Timespec time;
        clock_gettime(ThreadCpu, out time);
        return time.Seconds * 1e3 + time.Nanoseconds / 1e6;
    }
}

static class Workload
{
    // About a microsecond: the runtime's sampler stops no thread while it enters or leaves a method, and functions that do
    // nothing else are seen too seldom.
    [MethodImpl(MethodImplOptions.NoInlining)]
    static uint leaf(uint n)
    {
        uint x = n + 1;
        for (int i = 0; i < 500; i++) x = x * 1664525 + 1013904223;
        return x == 0 ? 0 : n;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint fibonacci(uint n)
    {
        return n < 2 ? leaf(n) : fibonacci(n - 1) + fibonacci(n - 2);
    }

    const int Side = 48;
    static readonly double[] left = Numbers(7), right = Numbers(11), product = new double[Side * Side];

    static double[] Numbers(int modulus)
    {
        var numbers = new double[Side * Side];
        for (int i = 0; i < numbers.Length; i++) numbers[i] = i % modulus;
        return numbers;
    }

    // Nor does it stop one in a loop without calls.
    [MethodImpl(MethodImplOptions.NoInlining)]
    static void multiply_row(int row)
    {
        for (int column = 0; column < Side; column++)
        {
            double sum = 0;
            for (int k = 0; k < Side; k++) sum += left[row * Side + k] * right[k * Side + column];
            product[row * Side + column] = sum;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint matrix_multiply(uint seed)
    {
        left[0] = seed;
        for (int row = 0; row < Side; row++) multiply_row(row);
        return (uint)product[Side + 1];
    }

    static readonly Sorter<uint> sorter = new Sorter<uint>(500);

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint sorting(uint seed)
    {
        for (int i = 0; i < sorter.Items.Length; i++) sorter.Items[i] = seed = seed * 1664525 + 1013904223;
        sorter.Quicksort(0, sorter.Items.Length - 1);
        return sorter.Items[0];
    }

    static readonly byte[] text = new byte[65536];

    [MethodImpl(MethodImplOptions.NoInlining)]
    static uint hash_block(uint hash, int from, int to)
    {
        if (to - from > 4096)
        {
            int middle = (from + to) / 2;
            return hash_block(hash_block(hash, from, middle), middle, to);
        }
        for (int i = from; i < to; i++) hash = (hash ^ text[i]) * 16777619;
        return hash;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint hashing(uint seed)
    {
        return hash_block(seed, 0, text.Length);
    }
}

class Sorter<T> where T : IComparable<T>
{
    public readonly T[] Items;

    public Sorter(int count)
    {
        Items = new T[count];
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    int Partition(int from, int to)
    {
        T pivot = Items[(from + to) / 2];
        while (from <= to)
        {
            while (Items[from].CompareTo(pivot) < 0) from++;
            while (Items[to].CompareTo(pivot) > 0) to--;
            if (from > to) break;
            T swapped = Items[from];
            Items[from++] = Items[to];
            Items[to--] = swapped;
        }
        return from;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public void Quicksort(int from, int to)
    {
        if (from >= to) return;
        int middle = Partition(from, to);
        Quicksort(from, middle - 1);
        Quicksort(middle, to);
    }
}

// A function of the demo and the share of the CPU time of the whole that it is to take.
class Part
{
    public readonly string Name;
    public readonly double Share;
    readonly Func<uint, uint> call;
    readonly uint argument;
    public double SpentMs;
    static uint result; // keeps the compiler from dropping the calls

    public Part(string name, double share, Func<uint, uint> call, uint argument)
    {
        Name = name;
        Share = share;
        this.call = call;
        this.argument = argument;
    }

    // The runtime's sampler stops a thread where it can be stopped, gladly in a call out of managed code: so the clock is
    // read as seldom as can be.
    int calls;
    double callsMs;

    int Batch(double ms)
    {
        double each = callsMs / calls;
        return calls == 0 ? 1 : Math.Max(1, (int)(ms / each));
    }

    public double Spend(double ms)
    {
        double start = Clock.Cpu(), took = 0;
        while (took < ms)
        {
            double before = took;
            int batch = Batch(ms - took);
            for (int i = 0; i < batch; i++) result += call(argument);
            took = Clock.Cpu() - start;
            calls += batch;
            callsMs += took - before;
        }
        return took;
    }
}

// The four tasks. A round tops each up to its share of the whole: a call that overshoots is made good in the next one.
class Round
{
    // Not a multiple of a sampler's period, so that samples fall everywhere in a round.
    const double Milliseconds = 23;

    public readonly Part[] Tasks = {
        new Part("fibonacci", 0.4, Workload.fibonacci, 10),
        new Part("matrix_multiply", 0.3, Workload.matrix_multiply, 1),
        new Part("sorting", 0.2, Workload.sorting, 1),
        new Part("hashing", 0.1, Workload.hashing, 1),
    };

    public double TotalMs()
    {
        double sum = 0;
        foreach (var task in Tasks) sum += task.SpentMs;
        return sum;
    }

    public void Work()
    {
        double goal = TotalMs() + Milliseconds;
        foreach (var task in Tasks) task.SpentMs += task.Spend(task.Share * goal - task.SpentMs);
    }

    public string Json()
    {
        double whole = TotalMs();
        var parts = new List<string>();
        foreach (var task in Tasks)
            parts.Add(string.Format("\"{0}\": {1:F6}", task.Name, whole > 0 ? task.SpentMs / whole : 0));
        return "{" + string.Join(", ", parts) + "}";
    }
}
