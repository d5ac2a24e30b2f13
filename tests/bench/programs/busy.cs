// One busy thread that makes many calls. For each line that it is sent it tells the rounds that it has made, as JSON; it
// ends with its input.
using System;
using System.Runtime.CompilerServices;
using System.Threading;

static class Program
{
    static long rounds;
    static int sink; // so that the work is not left out

    [MethodImpl(MethodImplOptions.NoInlining)]
    static int Leaf(int x) { return x * 31 + 7; }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static int Middle(int x, int n) { for (int i = 0; i < n; i++) x = Leaf(x); return x; }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static int Outer(int x) { int sum = 0; for (int i = 0; i < 2000; i++) sum += Middle(x + i, 20); return sum; }

    static void Work()
    {
        for (; ; )
        {
            sink += Outer((int)rounds);
            Interlocked.Increment(ref rounds);
        }
    }

    static void Main()
    {
        new Thread(Work) { IsBackground = true }.Start();
        Console.WriteLine("ready");
        while (Console.ReadLine() != null) Console.WriteLine("{{\"rounds\":{0}}}", Interlocked.Read(ref rounds));
    }
}
