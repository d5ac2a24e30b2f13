// A .NET program to profile.
//
//   Program.exe              a service: GET /work is one round of all four functions, in their shares of CPU time,
//                            GET /shares tells the shares that were really spent
//   Program.exe busy MS      after a line on standard input: threads that work and wait for MS of CPU time of the busiest;
//                            tells what each has used, and how many calls the busiest made
//
// PORT is the loopback port (0 takes a free one).
using System;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

static class Program
{
    static int FreePort()
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        return port;
    }

    static readonly Round round = new Round();

    static string Answer(string path)
    {
        lock (round)
        {
            if (path == "/shares") return round.Json();
            if (path != "/work") return null;
            round.Work();
            return "{\"done\": true}";
        }
    }

    static void Handle(HttpListenerContext context)
    {
        string answer = Answer(context.Request.Url.AbsolutePath);
        context.Response.StatusCode = answer == null ? 404 : 200;
        context.Response.ContentType = "application/json";
        byte[] body = Encoding.UTF8.GetBytes(answer ?? "{\"error\": \"not found\"}");
        context.Response.OutputStream.Write(body, 0, body.Length);
        context.Response.Close();
    }

    static async Task Serve()
    {
        int port = int.Parse(Environment.GetEnvironmentVariable("PORT") ?? "0");
        if (port == 0) port = FreePort();
        var listener = new HttpListener();
        listener.Prefixes.Add("http://127.0.0.1:" + port + "/");
        listener.Start();
        Console.WriteLine("listening on http://127.0.0.1:" + port);
        for (;;)
        {
            var context = await listener.GetContextAsync();
            try
            {
                Handle(context);
            }
            catch (Exception error)
            {
                Console.Error.WriteLine(error.Message);
            }
        }
    }

    static int Main(string[] arguments)
    {
        if (arguments.Length == 2 && arguments[0] == "busy") return Busy.Run(double.Parse(arguments[1]));
        Serve().Wait();
        return 0;
    }
}

// Threads of known CPU time: one works without a pause, one a third as much, one waits; on the pool, an asynchronous
// method with work of its own.
static class Busy
{
    static volatile bool over;

    static void Say(string who, double ms)
    {
        lock (typeof(Busy)) Console.WriteLine("cpu {0} {1:F3}", who, ms);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Full(double ms)
    {
        double start = Clock.Cpu();
        int calls = 0;
        for (; Clock.Cpu() - start < ms; calls++) Workload.hashing(1);
        Say("Full", Clock.Cpu() - start);
        Console.WriteLine("calls {0}", calls);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Third()
    {
        double start = Clock.Cpu();
        for (int i = 0; !over; i++)
        {
            for (double from = Clock.Cpu(); Clock.Cpu() - from < 5;) Pick<string, int>("a", 1);
            Thread.Sleep(10);
        }
        Say("Third", Clock.Cpu() - start);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static TValue Pick<TKey, TValue>(TKey key, TValue value)
    {
        Workload.matrix_multiply((uint)key.GetHashCode());
        return value;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Waits()
    {
        while (!over) Thread.Sleep(20);
    }

    static async Task<double> Fetch()
    {
        double used = 0;
        while (!over)
        {
            await Task.Delay(5);
            double start = Clock.Cpu();
            while (Clock.Cpu() - start < 2) Workload.sorting(1);
            used += Clock.Cpu() - start;
        }
        return used;
    }

    public static int Run(double ms)
    {
        Console.WriteLine("listening on standard input");
        Console.ReadLine();
        var fetch = Fetch();
        var full = new Thread(() => Full(ms)) { Name = "full" };
        var others = new[] { new Thread(Third) { Name = "third" }, new Thread(Waits) { Name = "waits" } };
        full.Start();
        foreach (var thread in others) thread.Start();
        full.Join();
        over = true;
        foreach (var thread in others) thread.Join();
        Say("Fetch", fetch.Result);
        return 0;
    }
}
