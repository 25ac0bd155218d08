/** The story the scripted bot tells: some 500 words with headings, lists, a quote and a table. */
export const STORY = `# The Lighthouse at Grey Point

Long before the ferries had radios, a lighthouse stood at **Grey Point**, on a rock so narrow that the keeper could not walk around his own house without touching its wall. His name was Anselm, and he had three duties:

1. light the lamp before sunset,
2. wind the clockwork every four hours,
3. write one line in the log each night.

He did the first two without fail. The third he found hard, because nothing ever happened.

## A light that answered

One night in November the fog came in from the north, thick as wool. Anselm lit the lamp, wound the clockwork, and opened the log. Before he could write *nothing to report*, he saw a second light, far out, where the chart showed only water. It blinked twice. He shaded his own lamp with his coat, twice. The other light blinked three times.

He wrote in the log:

> There is somebody out there, and they can count.

For a week the two lights talked. They had no alphabet, so they made one, slowly, the way children do. Short meant *yes*. Long meant *no*. A long and two shorts meant *wait*, and five quick ones, they agreed without ever having decided it, meant laughter.

## What the other keeper wanted

On the eighth night the far light asked a question that took an hour to spell: *what is it like to stand on something?* Anselm thought about it while the clockwork ticked. He looked at the rock, at the wall, at the kettle, at his boots drying by the stove. Then he answered as well as he could:

- It is hard, and it does not care about you.
- It is there in the morning.
- When you stamp on it, it stamps back.

There was a pause so long that he wound the clockwork early. Then came five quick flashes, and five more, until the fog itself seemed to laugh.

## The morning after

At dawn the fog lifted. The sea lay flat and empty to the horizon; there was no ship, no buoy, no second lighthouse. But on the lowest step, where the tide had been, Anselm found a small lamp of green glass, still warm. He carried it up to the gallery and set it beside the great lens.

| Night | What he wrote |
| --- | --- |
| first | There is somebody out there, and they can count. |
| eighth | They asked about the ground. I told them the truth. |
| ninth | I have a guest. It is made of glass. |

From then on two lights burned at Grey Point, a white one and a green one. Captains complained that the second was on no chart. The office on the mainland sent a man to put it out. He stayed for one night, watched the green lamp blink five times at nothing, and went home without a word. In his report he wrote that everything was in order, that the keeper was well, and that somebody should send him a second chair.

They did. It is there to this day, and it is never dusty.`;

/** The Chinese one. */
export const STORY_ZH = `# 灰岬的灯塔

很久以前，渡轮上还没有电台的时候，**灰岬**的礁石上立着一座灯塔。礁石窄得很，守塔人绕着自己的屋子走一圈，手总要贴着墙。他叫老安，每天只有三件事：

1. 日落之前点灯，
2. 每四个小时上一次发条，
3. 每天夜里在日志上写一行字。

前两件他从不耽误，第三件却让他犯愁，因为这里什么事也不会发生。

## 会回答的光

十一月的一个夜晚，北边来了大雾，厚得像羊毛。老安点了灯，上了发条，翻开日志。他还没来得及写下“一切如常”，就看见远处亮起了第二盏灯，可海图上那里只有水。那盏灯闪了两下。老安用外套遮住自己的灯，也闪了两下。对面闪了三下。

他在日志里写道：

> 那边有人，而且会数数。

整整一个星期，两盏灯都在说话。它们没有字母，就像孩子一样，慢慢地造了一套。短的是“是”，长的是“不”，一长两短是“等一等”；连闪五下，谁也没有约定过，却都知道，那是在笑。

## 远方的问题

第八个夜里，远处的灯问了一个问题，拼了足足一个小时：*站在什么东西上面，是一种什么感觉？* 老安听着发条的滴答声想了很久，看看礁石，看看墙，看看水壶，又看看炉边烘着的靴子，然后尽力回答：

- 它很硬，也不在乎你。
- 早晨醒来，它还在那里。
- 你跺它一脚，它也跺你一脚。

对面沉默了很久，久到他提前上了一次发条。接着，灯光连闪五下，又是五下，连雾都好像跟着笑了起来。

## 第二天早上

天亮时雾散了，海面平平整整，没有船，没有浮标，也没有第二座灯塔。可是在潮水退去的最低一级台阶上，老安发现了一盏绿玻璃做的小灯，摸上去还是温的。他把它带上塔顶，放在大透镜的旁边。

从那以后，灰岬亮着两盏灯，一盏白，一盏绿。船长们抱怨说，第二盏灯哪张海图上都没有。岸上的办公室派人来熄灯，那人住了一夜，看着绿灯对着空无一物的海闪了五下，第二天一句话没说就回去了。他在报告里写道：一切正常，守塔人身体很好，只是应该再给他送一把椅子。

椅子送来了，至今还在那里，从来不落灰。`;

/** Deterministic text of exactly `length` characters: paragraphs, lists and fenced code in turn. */
export function longText(length: number): string {
  let text = "";
  for (let block = 1; text.length < length; block += 1) text += longBlock(block);
  return text.slice(0, length);
}

function longBlock(block: number): string {
  switch (block % 3) {
    case 1:
      return `## Part ${block}\n\nThis is paragraph ${block} of a long answer. It has plain words, **bold words** and \`code\`, and it says nothing of importance, at some length, so that there is enough to cut.\n\n`;
    case 2:
      return `${[1, 2, 3, 4].map((item) => `${item}. item ${item} of list ${block}\n   - a point below it`).join("\n")}\n\n`;
    default:
      return `\`\`\`ts\n${[1, 2, 3, 4, 5].map((line) => `export const value${block}x${line}: number = ${block * line};`).join("\n")}\n\`\`\`\n\n`;
  }
}
