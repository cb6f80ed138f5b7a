// Vercel's AI SDK in a loop with a tool; the address comes from the environment.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, stepCountIs, streamText, tool } from 'ai'
import { z } from 'zod'

const mesh = createOpenAICompatible({ name: 'mesh', baseURL: process.env.BASE_URL, apiKey: 'unused' })
const ask = {
  model: mesh('m'),
  prompt: 'How is the weather in Basel?',
  tools: {
    weather: tool({
      description: 'Tell the weather of a city.',
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => (city === 'Basel' ? 'sunny, 24 degrees' : 'unknown'),
    }),
  },
  stopWhen: stepCountIs(3),
}

if (process.env.STREAM) {
  const { text } = streamText(ask)
  console.log(await text)
} else {
  console.log((await generateText(ask)).text)
}
