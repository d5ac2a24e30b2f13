-- Language models over HTTP: how each provider is asked, and what it answers. A new one is a row of `providers`.
--
--   gemini   POST {url}/v1beta/models/{model}:generateContent        https://ai.google.dev/api/generate-content
--   openai   POST {url}/v1/chat/completions                          what local servers speak as well

local http = require "flamegraph.http"
local json = require "flamegraph.json"

local models = {}

local timeout = 120 -- seconds: local models are slow
local cut_off = " …\n(the answer was cut off at the model's limit)"

-- ---- gemini -----------------------------------------------------------------------------------------------------

-- Why a candidate has no text, in words; others are told as they are.
local gemini_reasons = {
  SAFETY = "the model's safety filter blocked the answer",
  RECITATION = "the answer was blocked: it would recite a source",
  MAX_TOKENS = "the answer did not fit the model's limit; ask with a smaller --top",
  PROHIBITED_CONTENT = "the model's safety filter blocked the answer",
}

local function texts_of(parts)
  local texts = {}
  for _, part in ipairs(type(parts) == "table" and parts or {}) do
    if type(part) == "table" and type(part.text) == "string" and not part.thought then texts[#texts + 1] = part.text end
  end
  return table.concat(texts)
end

local function gemini_answer(answer)
  local feedback = type(answer.promptFeedback) == "table" and answer.promptFeedback.blockReason
  if type(feedback) == "string" then return nil, ("the model refused the question (%s)"):format(feedback) end
  local candidate = type(answer.candidates) == "table" and answer.candidates[1]
  if type(candidate) ~= "table" then return nil, "it has no candidate" end
  local text = texts_of(type(candidate.content) == "table" and candidate.content.parts)
  local reason = candidate.finishReason
  if text == "" or gemini_reasons[reason] and reason ~= "MAX_TOKENS" then
    return nil, gemini_reasons[reason] or ("it has no text (finishReason %s)"):format(tostring(reason))
  end
  return reason == "MAX_TOKENS" and text .. cut_off or text
end

-- ---- openai -----------------------------------------------------------------------------------------------------

local function openai_answer(answer)
  local choice = type(answer.choices) == "table" and answer.choices[1]
  local message = type(choice) == "table" and choice.message
  if type(message) ~= "table" then return nil, "it has no choice" end
  if type(message.refusal) == "string" then return nil, "the model refused: " .. message.refusal end
  if choice.finish_reason == "content_filter" then return nil, "the provider's content filter blocked the answer" end
  if type(message.content) ~= "string" or message.content == "" then
    return nil, ("it has no text (finish_reason %s)"):format(tostring(choice.finish_reason))
  end
  return choice.finish_reason == "length" and message.content .. cut_off or message.content
end

-- ---- the table --------------------------------------------------------------------------------------------------

local providers = {
  gemini = {
    model = "gemini-2.0-flash", variable = "GEMINI_API_KEY", url = "https://generativelanguage.googleapis.com",
    path = function(model) return ("/v1beta/models/%s:generateContent"):format(model) end,
    headers = function(key) return { ["x-goog-api-key"] = key } end,
    body = function(_, system, question)
      return {
        systemInstruction = { parts = { { text = system } } },
        contents = { { role = "user", parts = { { text = question } } } },
        generationConfig = { temperature = 0.2, maxOutputTokens = 2048 },
      }
    end,
    answer = gemini_answer,
  },
  openai = {
    model = "gpt-4o-mini", variable = "OPENAI_API_KEY", url = "https://api.openai.com",
    path = function() return "/v1/chat/completions" end,
    headers = function(key) return key and { authorization = "Bearer " .. key } or {} end,
    body = function(model, system, question)
      return {
        model = model, temperature = 0.2,
        messages = { { role = "system", content = system }, { role = "user", content = question } },
      }
    end,
    answer = openai_answer,
  },
}

--- The providers' names, sorted.
models.names = { "gemini", "openai" }

--- Where a server on this machine is looked for.
models.here = "http://localhost:5000"

--- The variable that holds a provider's key.
function models.variable(provider)
  return providers[provider].variable
end

--- Where a model is asked: as somebody says, at the provider's own service where there is a key for it, or at a server
-- on this machine.
-- @tparam string provider
-- @tparam string|nil url what somebody says
-- @tparam string|nil key the credential
-- @treturn string
function models.address(provider, url, key)
  return url or key and providers[provider].url or models.here
end

--- What to do where nobody answers at an address.
-- @tparam string provider
-- @tparam string url where it was asked
-- @tparam string|nil key the credential
-- @treturn string
function models.remedy(provider, url, key)
  local own = providers[provider]
  if url == own.url then
    return "is this machine on the network? --api-url names another server, --local asks nobody"
  end
  local service = key and ("leave --api-url out to ask %s"):format(own.url)
    or ("with a key in $%s, %s is asked"):format(own.variable, own.url)
  return ("%s; a model on this machine (ollama): --provider openai --api-url http://localhost:11434; --local asks "
    .. "nobody"):format(service)
end

--- A request, ready to be sent or shown.
-- @tparam table options `provider`, `url`, `model` (nil: the provider's usual one), `system`, `question`
-- @treturn table `url`, `base` (what it was made of), `body` (a table), `model`
function models.request(options)
  local provider = providers[options.provider]
  local model = options.model or provider.model
  return { url = options.url .. provider.path(model), base = options.url, model = model,
    body = provider.body(model, options.system, options.question) }
end

-- What a refusal says of itself: both providers have error.message.
local function refusal(answer)
  local body = json.decode(answer.body)
  local problem = type(body) == "table" and body.error
  local said = type(problem) == "table" and problem.message or problem
  return type(said) == "string" and said ~= "" and ": " .. said:gsub("%s+", " "):sub(1, 300) or ""
end

local function status_message(provider, answer)
  local key = "$" .. provider.variable
  local said = refusal(answer)
  local known = {
    [401] = ("the key was refused; is %s right?"):format(key),
    [403] = ("the key may not do this; is %s right?"):format(key),
    [404] = "there is no such model or address; --model and --api-url name them",
    [429] = "the quota is used up: wait, or use another --model",
    [503] = "the model is overloaded: try again later",
  }
  return ("%d: %s%s"):format(answer.status, known[answer.status] or "the provider refused", said)
end

--- Send a request and take the text of its answer.
-- @tparam string name the provider
-- @tparam table request of models.request
-- @tparam[opt] string key the credential
-- @treturn string|nil nil, message, code: "REMOTE" (refused, blocked, quota), "FORMAT", and those of fg.http
function models.ask(name, request, key)
  local provider = providers[name]
  local answer, message, code = http {
    url = request.url, json = request.body, headers = provider.headers(key), timeout = timeout, max_body = "16M",
  }
  if not answer then return nil, message, code end
  if answer.status < 200 or answer.status > 299 then return nil, status_message(provider, answer), "REMOTE" end
  local body = json.decode(answer.body)
  if type(body) ~= "table" then
    local begins = answer.body:sub(1, 60):gsub("%s+", " ")
    return nil, ("the answer is no JSON (it begins with \"%s\")"):format(begins), "FORMAT"
  end
  local text, why = provider.answer(body)
  if not text then return nil, why, "REMOTE" end
  return text
end

return models
